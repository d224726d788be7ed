using LicenseAgent.Daemon.Ports;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Tpm;

namespace LicenseAgent.Sim.World;

/// <summary>
/// The agent's three ports onto its TPM: one command after the other, each takes its time. Like the real one they keep
/// what the process opened, and hold the chip to it at every use of keys and indices.
/// </summary>
internal sealed class TpmPorts(Life life, SimTpm tpm, SimRandom chance) : ITpmKeys, ITpmMemory, ITpmClock
{
    // The driver gives up on a command after this (agent.md §5, deadlines).
    private const long DeadlineUs = 30_000_000;

    private TpmAnchor? _opened;

    public Task<TpmBirth> ProvisionAsync(
        ReadOnlyMemory<byte> keyAuth, string? ownerAuth, bool replace, CancellationToken cancel)
    {
        Action[] steps = [() => tpm.MakeKeys(keyAuth)];
        return Call("tpm.provision", 400_000, replace ? [tpm.MakeWay, .. steps] : steps, () => tpm.Birth(keyAuth));
    }

    public Task<TpmFacts> OpenAsync(TpmAnchor anchor, CancellationToken cancel) =>
        Call("tpm.open", 60_000, [() => tpm.Require(anchor)], () =>
        {
            _opened = anchor;
            return new TpmFacts("SIM", "1", 0);
        });

    public Task<byte[]> SignAsync(ReadOnlyMemory<byte> digest, CancellationToken cancel) =>
        Use("tpm.sign", 90_000, () => tpm.Sign(digest.Span));

    public Task<int> UnwrapAsync(ReadOnlyMemory<byte> cipher, Memory<byte> plain, CancellationToken cancel) =>
        Use("tpm.unwrap", 200_000, () => tpm.Unwrap(cipher.Span, plain.Span));

    public Task<long> ReadCounterAsync(CancellationToken cancel) => Use("tpm.read_counter", 10_000, tpm.ReadCounter);

    public Task<long> IncrementCounterAsync(CancellationToken cancel) =>
        Use("tpm.increment", 40_000, tpm.ReadCounter, tpm.Increment);

    public Task<NvSlot?> ReadSlotAsync(int parity, CancellationToken cancel) =>
        Use("tpm.read_slot", 10_000, () => tpm.ReadSlot(parity));

    public Task WriteSlotAsync(int parity, NvSlot slot, CancellationToken cancel)
    {
        byte[] bytes = slot.ToBytes();
        return Use(
            "tpm.write_slot", 40_000, () => true, () => tpm.TearSlot(parity, bytes), () => tpm.WriteSlot(parity, bytes));
    }

    public Task<NvMirror?> ReadMirrorAsync(CancellationToken cancel) =>
        Use("tpm.read_mirror", 10_000, tpm.ReadMirror);

    public Task WriteMirrorAsync(NvMirror mirror, CancellationToken cancel)
    {
        byte[] bytes = mirror.ToBytes();
        return Use("tpm.write_mirror", 40_000, () => true, () => tpm.WriteMirror(bytes));
    }

    public Task<TpmClockReading> ReadClockAsync(CancellationToken cancel) =>
        Call("tpm.read_clock", 10_000, [], () => tpm.Clock, needsSession: false);

    public Task GetRandomAsync(Memory<byte> destination, CancellationToken cancel) =>
        Use("tpm.random", 10_000, () =>
        {
            tpm.GetRandom(destination.Span);
            return true;
        });

    /// <summary>A command that needs what was opened.</summary>
    private Task<T> Use<T>(string name, long meanUs, Func<T> answer, params Action[] steps) =>
        Call(name, meanUs, [RequireOpened, .. steps], answer);

    private void RequireOpened() => tpm.Require(
        _opened ?? throw new InvalidOperationException("OpenAsync comes before the calls that need keys."));

    /// <summary>
    /// A kill on the way leaves any beginning of the steps done; one that fails has done all of them or none.
    /// </summary>
    private Task<T> Call<T>(string name, long meanUs, Action[] steps, Func<T> answer, bool needsSession = true)
    {
        (long putOffUs, bool isTaken) = tpm.PutOff();
        long took = (meanUs / 2) + chance.Exponential(meanUs / 2) + tpm.Troubles.SlowUs + putOffUs;
        bool isLost = false;
        return life.Call(name, Math.Min(took, DeadlineUs), new Effect<T>(
            [
                () => isLost = isTaken ? tpm.Begin(timesOut: took >= DeadlineUs, needsSession) : throw SimTpm.NoAnswer(),
                .. steps,
            ],
            () => isLost ? throw SimTpm.NoAnswer() : answer()));
    }
}
