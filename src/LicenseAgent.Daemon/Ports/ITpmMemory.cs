using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Tpm;

namespace LicenseAgent.Daemon.Ports;

/// <summary>The NV indices that tie the state on disk to the TPM.</summary>
internal interface ITpmMemory
{
    /// <summary>The NV counter: the generation.</summary>
    Task<long> ReadCounterAsync(CancellationToken cancel);

    /// <summary>Increments the counter and returns what it reads back.</summary>
    Task<long> IncrementCounterAsync(CancellationToken cancel);

    /// <summary>
    /// The slot of even (0) or odd (1) generations; <see langword="null"/> when never written or torn.
    /// </summary>
    Task<NvSlot?> ReadSlotAsync(int parity, CancellationToken cancel);

    Task WriteSlotAsync(int parity, NvSlot slot, CancellationToken cancel);
}

/// <summary>The rest of what the TPM gives: its clock, randomness and the high-water mirror.</summary>
internal interface ITpmClock
{
    Task<NvMirror?> ReadMirrorAsync(CancellationToken cancel);

    Task WriteMirrorAsync(NvMirror mirror, CancellationToken cancel);

    Task<TpmClockReading> ReadClockAsync(CancellationToken cancel);

    Task GetRandomAsync(Memory<byte> destination, CancellationToken cancel);
}

/// <summary>TPM2_ReadClock.</summary>
internal readonly record struct TpmClockReading(long ClockMs, long ResetCount, long RestartCount);

/// <summary>Why a TPM call did not succeed.</summary>
internal enum TpmTrouble
{
    /// <summary>Absent, stopped, hung or answering garbage: try again later.</summary>
    Unavailable,

    /// <summary>Dictionary-attack lockout: try again much later, never in a loop.</summary>
    Lockout,

    /// <summary>Not the TPM of this enrolment, or its indices are not ours.</summary>
    Replaced,

    /// <summary>The owner hierarchy has a password and none, or a wrong one, was given.</summary>
    OwnerAuth,
}

/// <summary>A TPM call failed; the message names the fact and the remedy.</summary>
internal sealed class TpmUnavailableException(TpmTrouble trouble, string message, Exception? inner = null)
    : EnvironmentException(trouble.ToString(), message, retryable: trouble == TpmTrouble.Unavailable, inner)
{
    public TpmTrouble Trouble { get; } = trouble;
}
