using LicenseAgent.Daemon.Ports;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Tpm;

namespace LicenseAgent.Sim.World;

/// <summary>The agent's three ports onto its TPM: one command after the other, each takes its time.</summary>
internal sealed class TpmPorts(Life life, SimTpm tpm, SimRandom chance) : ITpmKeys, ITpmMemory, ITpmClock
{
    // The driver gives up on a command after this (agent.md §5, deadlines).
    private const long DeadlineUs = 30_000_000;

    public Task<TpmBirth> ProvisionAsync(
        ReadOnlyMemory<byte> keyAuth, string? ownerAuth, bool replace, CancellationToken cancel) =>
        Call("tpm.provision", 400_000, () => tpm.Provision(keyAuth, replace));

    public Task<TpmFacts> OpenAsync(TpmAnchor anchor, CancellationToken cancel) =>
        Call("tpm.open", 60_000, () => tpm.Open(anchor));

    public Task<byte[]> SignAsync(ReadOnlyMemory<byte> digest, CancellationToken cancel) =>
        Call("tpm.sign", 90_000, () => tpm.Sign(digest.Span));

    public Task<int> UnwrapAsync(ReadOnlyMemory<byte> cipher, Memory<byte> plain, CancellationToken cancel) =>
        Call("tpm.unwrap", 200_000, () => tpm.Unwrap(cipher.Span, plain.Span));

    public Task<long> ReadCounterAsync(CancellationToken cancel) => Call("tpm.read_counter", 10_000, tpm.ReadCounter);

    public Task<long> IncrementCounterAsync(CancellationToken cancel) =>
        Call("tpm.increment", 40_000, tpm.Increment);

    public Task<NvSlot?> ReadSlotAsync(int parity, CancellationToken cancel) =>
        Call("tpm.read_slot", 10_000, () => tpm.ReadSlot(parity));

    public Task WriteSlotAsync(int parity, NvSlot slot, CancellationToken cancel)
    {
        byte[] bytes = slot.ToBytes();
        return Call("tpm.write_slot", 40_000, new Effect<bool>(
            [tpm.NvCommand, () => tpm.TearSlot(parity, bytes), () => tpm.WriteSlot(parity, bytes)], () => true));
    }

    public Task<NvMirror?> ReadMirrorAsync(CancellationToken cancel) =>
        Call("tpm.read_mirror", 10_000, tpm.ReadMirror);

    public Task WriteMirrorAsync(NvMirror mirror, CancellationToken cancel)
    {
        byte[] bytes = mirror.ToBytes();
        return Call("tpm.write_mirror", 40_000, new Effect<bool>(
            [tpm.NvCommand, () => tpm.WriteMirror(bytes)], () => true));
    }

    public Task<TpmClockReading> ReadClockAsync(CancellationToken cancel) =>
        Call("tpm.read_clock", 10_000, tpm.ReadClock);

    public Task GetRandomAsync(Memory<byte> destination, CancellationToken cancel) =>
        Call("tpm.random", 10_000, () =>
        {
            tpm.GetRandom(destination.Span);
            return true;
        });

    private Task<T> Call<T>(string name, long meanUs, Func<T> effect) =>
        Call(name, meanUs, new Effect<T>([], effect));

    private Task<T> Call<T>(string name, long meanUs, Effect<T> effect)
    {
        (long putOffUs, bool isTaken) = tpm.PutOff();
        long took = (meanUs / 2) + chance.Exponential(meanUs / 2) + tpm.Troubles.SlowUs + putOffUs;
        if (took >= DeadlineUs || !isTaken)
        {
            return life.Call<T>(name, Math.Min(took, DeadlineUs), () => throw new TpmUnavailableException(
                TpmTrouble.Unavailable, "The TPM did not answer within its deadline, or was busy to the end."));
        }

        return life.Call(name, took, effect with
        {
            Answer = () =>
            {
                T done = effect.Answer();
                return tpm.IsGarbled()
                    ? throw new TpmUnavailableException(TpmTrouble.Unavailable, "The TPM's response cannot be read.")
                    : done;
            },
        });
    }
}
