namespace LicenseAgent.Daemon.Ports;

/// <summary>
/// The clocks of this boot and the boot they belong to. The wall clock and timers come from a TimeProvider.
/// </summary>
internal interface IBootClock
{
    string BootId { get; }

    /// <summary>CLOCK_BOOTTIME in milliseconds: runs while the machine sleeps.</summary>
    long BootMs { get; }

    /// <summary>CLOCK_MONOTONIC in milliseconds: stands while the machine sleeps.</summary>
    long AwakeMs { get; }
}

/// <summary>Randomness of the operating system.</summary>
internal interface IRandomness
{
    void Fill(Span<byte> destination);
}
