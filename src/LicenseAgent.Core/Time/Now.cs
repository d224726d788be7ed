using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Core;

/// <summary>
/// The clocks and the chance of one step, read by the loop before it. Core has neither clock nor randomness of its own.
/// </summary>
/// <param name="BootMs">CLOCK_BOOTTIME, milliseconds: runs while the machine sleeps.</param>
/// <param name="AwakeMs">CLOCK_MONOTONIC, milliseconds: stands while it sleeps.</param>
/// <param name="Wall">The wall clock; believed or not by <see cref="Timekeeping"/>.</param>
/// <param name="Chance">16 random bytes as two numbers, used up by at most one draw of each kind a step.</param>
public readonly record struct Now(string BootId, long BootMs, long AwakeMs, UtcTime Wall, UInt128 Chance)
{
    /// <summary>A number in [0, 1), independent per <paramref name="stream"/>.</summary>
    internal double Draw(int stream)
    {
        // SplitMix64 over one half of the chance: cheap, well mixed, and the same everywhere.
        ulong z = unchecked((ulong)Chance + 0x9E3779B97F4A7C15UL * (ulong)(stream + 1));
        z = unchecked((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL);
        z = unchecked((z ^ (z >> 27)) * 0x94D049BB133111EBUL);
        return ((z ^ (z >> 31)) >> 11) * (1.0 / (1UL << 53));
    }

    /// <summary>A new request id; <paramref name="stream"/> keeps two ids of one step apart.</summary>
    internal string NewRequestId(UtcTime time, byte stream)
    {
        Span<byte> random = stackalloc byte[16];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt128BigEndian(random, Chance);
        random[0] ^= stream;
        return RequestId.From(time, random[..10]);
    }
}

/// <summary>What of the configuration the decisions depend on.</summary>
/// <param name="GracePeriod">Local cap: grace ends at the latest this long after <c>valid_until</c>.</param>
/// <param name="BuildTime">Trusted now is never before it.</param>
/// <param name="ProgramVersion">Sent with check-ins.</param>
/// <param name="FallbackOnLoss">Software keys may take the place of a lost TPM.</param>
public sealed record CoreSettings(
    TimeSpan RotationInterval, TimeSpan GracePeriod, TimeSpan OfflineAfter, TimeSpan CheckInInterval,
    bool DegradedAllowed, UtcTime BuildTime, string ProgramVersion, bool FallbackOnLoss = false);
