namespace LicenseAgent.Daemon.Ports;

/// <summary>CLOCK_BOOTTIME and the boot it belongs to. The wall clock and timers come from a TimeProvider.</summary>
internal interface IBootClock
{
    string BootId { get; }

    /// <summary>CLOCK_BOOTTIME in milliseconds: runs while the machine sleeps.</summary>
    long BootMs { get; }
}

/// <summary>Randomness of the operating system.</summary>
internal interface IRandomness
{
    void Fill(Span<byte> destination);
}
