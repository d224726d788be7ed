using LicenseAgent.Daemon.Adapters.Files;
using LicenseAgent.Daemon.Metrics;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Tpm;

namespace LicenseAgent.Daemon.Adapters;

/// <summary>
/// The TPM behind the agent's ports: words of the agent in, words of the agent out, durations measured.
/// </summary>
internal sealed class TpmPort(TpmOptions options, AgentMetrics metrics, TimeProvider time)
    : ITpmKeys, ITpmMemory, ITpmClock, IAsyncDisposable
{
    private readonly TpmDevice _device = new(options);

    public Task<TpmBirth> ProvisionAsync(
        ReadOnlyMemory<byte> keyAuth, string? ownerAuth, bool replace, CancellationToken cancel) =>
        Call("provision", async () =>
        {
            TpmIdentity made = await _device.ProvisionAsync(keyAuth, ownerAuth, replace, cancel);
            TpmAnchor anchor = new(
                HexText.Encode(made.SrkName.Span), HexText.Encode(made.SigningName.Span),
                HexText.Encode(made.DecryptionName.Span), keyAuth.ToArray());
            return new TpmBirth(
                EcPublicJwk.FromXY(made.SigningX.Span, made.SigningY.Span),
                RsaPublicJwk.FromModulus(made.DecryptionModulus.Span), anchor);
        });

    public Task<TpmFacts> OpenAsync(TpmAnchor anchor, CancellationToken cancel) =>
        Call("open", async () =>
        {
            TpmState state = await _device.OpenAsync(
                new TpmBinding(
                    anchor.KeyAuth, Name(anchor.SrkName), Name(anchor.SigningName), Name(anchor.DecryptionName)),
                cancel);
            TpmProperties properties = await _device.ReadPropertiesAsync(cancel);
            return new TpmFacts(
                properties.Manufacturer, properties.FirmwareVersion, properties.LockoutCounter,
                properties.OwnerAuthSet, properties.InLockout, Reading(state.Clock));
        });

    public Task<byte[]> SignAsync(ReadOnlyMemory<byte> digest, CancellationToken cancel) =>
        Call("sign", () => _device.SignAsync(digest, cancel));

    public Task<int> UnwrapAsync(ReadOnlyMemory<byte> cipher, Memory<byte> plain, CancellationToken cancel) =>
        Call("unwrap", async () =>
        {
            try
            {
                return await _device.UnwrapAsync(cipher, plain, cancel);
            }
            catch (TpmException e) when (e.Reason == TpmFailure.DecryptFailed)
            {
                return -1;
            }
        });

    public Task<long> ReadCounterAsync(CancellationToken cancel) =>
        Call("read_counter", async () => (long)await _device.ReadCounterAsync(cancel));

    public Task<long> IncrementCounterAsync(CancellationToken cancel) =>
        Call("increment_counter", async () => (long)await _device.IncrementCounterAsync(cancel));

    public Task<NvSlot?> ReadSlotAsync(int parity, CancellationToken cancel) =>
        Call("read_slot", async () =>
            await _device.ReadSlotAsync(parity, cancel) is { } bytes && NvSlot.TryParse(bytes, out NvSlot? slot)
                ? slot
                : null);

    public Task WriteSlotAsync(int parity, NvSlot slot, CancellationToken cancel) =>
        Call("write_slot", () => Done(_device.WriteSlotAsync(parity, slot.ToBytes(), cancel)));

    public Task<NvMirror?> ReadMirrorAsync(CancellationToken cancel) =>
        Call("read_mirror", async () =>
            await _device.ReadMirrorAsync(cancel) is { } bytes && NvMirror.TryParse(bytes, out NvMirror? mirror)
                ? mirror
                : null);

    public Task WriteMirrorAsync(NvMirror mirror, CancellationToken cancel) =>
        Call("write_mirror", () => Done(_device.WriteMirrorAsync(mirror.ToBytes(), cancel)));

    public Task<TpmClockReading> ReadClockAsync(CancellationToken cancel) =>
        Call("read_clock", async () => Reading(await _device.ReadClockAsync(cancel)));

    public Task GetRandomAsync(Memory<byte> destination, CancellationToken cancel) =>
        Call("get_random", () => Done(_device.GetRandomAsync(destination, cancel)));

    public ValueTask DisposeAsync() => _device.DisposeAsync();

    private static TpmClockReading Reading(TpmClock clock) =>
        new((long)clock.ClockMs, clock.ResetCount, clock.RestartCount);

    private async Task<T> Call<T>(string operation, Func<Task<T>> call)
    {
        long start = time.GetTimestamp();
        try
        {
            return await call();
        }
        catch (TpmException e)
        {
            throw new TpmUnavailableException(TroubleOf(e.Reason), e.Message, e);
        }
        finally
        {
            metrics.TpmOperationEnded(operation, time.GetElapsedTime(start));
        }
    }

    private static async Task<bool> Done(Task task)
    {
        await task;
        return true;
    }

    private static TpmTrouble TroubleOf(TpmFailure reason) => reason switch
    {
        TpmFailure.Lockout => TpmTrouble.Lockout,
        TpmFailure.OwnerAuthRequired => TpmTrouble.OwnerAuth,
        TpmFailure.Replaced or TpmFailure.NotProvisioned or TpmFailure.AuthFailed or TpmFailure.KeyHandleTaken =>
            TpmTrouble.Replaced,
        _ => TpmTrouble.Unavailable,
    };

    private static byte[] Name(string hex) =>
        HexText.TryDecode(hex, out byte[] name)
            ? name
            : throw new StorageException(
                "agent_file_incomplete", "agent.json holds a TPM Name that is no hex; enrol the till again.");
}
