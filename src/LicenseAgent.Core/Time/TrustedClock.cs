using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Core;

/// <summary>
/// Trusted now as a line: a time at one point of CLOCK_BOOTTIME, running on from there. Immutable, so that validations
/// read it without a lock and without asking anybody. Every step draws it anew from its own time, so what it runs on
/// between two is a minute, and the time the machine slept.
/// </summary>
/// <param name="BootMs">CLOCK_BOOTTIME, milliseconds, at which <paramref name="Floor"/> held.</param>
public readonly record struct TrustedClock(long BootMs, UtcTime Floor)
{
    /// <summary>
    /// The time at a reading of CLOCK_BOOTTIME. A battery clock that lies when the machine wakes adds no more than
    /// what is believed of a sleep; the rest waits for the next step to judge it.
    /// </summary>
    public UtcTime At(long bootMs) =>
        Floor + TimeSpan.FromMilliseconds(Math.Clamp(bootMs - BootMs, 0, Timing.SleepBelievedMs));
}
