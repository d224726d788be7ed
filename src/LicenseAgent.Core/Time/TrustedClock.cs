using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Core;

/// <summary>
/// Trusted now as a line: a lower bound of the time at one point of CLOCK_BOOTTIME, running on from there. Immutable,
/// so that validations read it without a lock.
/// </summary>
/// <param name="BootMs">CLOCK_BOOTTIME, milliseconds, at which <paramref name="Floor"/> held.</param>
public readonly record struct TrustedClock(long BootMs, UtcTime Floor)
{
    public UtcTime At(long bootMs) => Floor + TimeSpan.FromMilliseconds(Math.Max(0, bootMs - BootMs));
}
