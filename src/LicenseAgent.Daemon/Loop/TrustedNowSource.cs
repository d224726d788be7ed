using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Daemon.Loop;

/// <summary>Trusted now for whoever writes records: set by the loop after every step, read by any thread.</summary>
internal sealed class TrustedNowSource(UtcTime buildTime)
{
    private Reading _reading = new(new TrustedClock(0, buildTime));

    public void Set(TrustedClock clock) => Volatile.Write(ref _reading, new Reading(clock));

    public UtcTime At(long bootMs) => Volatile.Read(ref _reading).Clock.At(bootMs);

    private sealed record Reading(TrustedClock Clock);
}
