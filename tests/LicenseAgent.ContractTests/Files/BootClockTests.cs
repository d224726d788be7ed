using System.Globalization;
using LicenseAgent.Daemon.Adapters;
using Xunit;

namespace LicenseAgent.ContractTests.Files;

public sealed class BootClockTests
{
    private readonly BootClock _clock = new();

    [Fact]
    public void The_boot_id_is_the_kernels() =>
        Assert.Equal(File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim(), _clock.BootId);

    [Fact]
    public void Boot_time_agrees_with_the_kernels_uptime()
    {
        long before = UptimeMs();
        long now = _clock.BootMs;
        long after = UptimeMs();
        // /proc/uptime has hundredths of a second.
        Assert.InRange(now, before - 10, after + 10);
    }

    [Fact]
    public void Boot_time_never_goes_back()
    {
        long last = _clock.BootMs;
        for (int i = 0; i < 10_000; i++)
        {
            long now = _clock.BootMs;
            Assert.True(now >= last);
            last = now;
        }
    }

    [Fact]
    public void Time_awake_is_boot_time_without_sleep()
    {
        long awake = _clock.AwakeMs;
        Assert.InRange(awake, 1, _clock.BootMs);
    }

    [Fact]
    public void Randomness_fills_the_whole_span_differently_each_time()
    {
        byte[] a = new byte[64], b = new byte[64];
        new OsRandomness().Fill(a);
        new OsRandomness().Fill(b);
        Assert.NotEqual(a, b);
        Assert.True(a.AsSpan(56).ContainsAnyExcept((byte)0));
    }

    private static long UptimeMs() => (long)(decimal.Parse(
        File.ReadAllText("/proc/uptime").Split(' ')[0], CultureInfo.InvariantCulture) * 1_000);
}
