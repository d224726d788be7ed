using FsCheck;
using FsCheck.Fluent;
using LicenseAgent.Protocol.Encoding;
using Xunit;

namespace LicenseAgent.UnitTests.Protocol.Encoding;

public sealed class UtcTimeTests
{
    [Theory]
    [InlineData("1970-01-01T00:00:00.000Z", 0)]
    [InlineData("2026-11-20T11:12:13.456Z", 1795173133456)]
    [InlineData("2024-02-29T23:59:59.999Z", 1709251199999)]
    [InlineData("1969-12-31T23:59:59.999Z", -1)]
    [InlineData("0001-01-01T00:00:00.000Z", -62135596800000)]
    [InlineData("9999-12-31T23:59:59.999Z", 253402300799999)]
    public void A_time_has_one_text(string text, long unixMs)
    {
        Assert.True(UtcTime.TryParse(text, out UtcTime time));
        Assert.Equal(unixMs, time.UnixMs);
        Assert.Equal(text, new UtcTime(unixMs).ToString());
    }

    [Theory]
    [InlineData("2026-11-20T11:12:13Z")]
    [InlineData("2026-11-20T11:12:13.45Z")]
    [InlineData("2026-11-20T11:12:13.4567Z")]
    [InlineData("2026-11-20t11:12:13.456Z")]
    [InlineData("2026-11-20T11:12:13.456z")]
    [InlineData("2026-11-20 11:12:13.456Z")]
    [InlineData("2026-11-20T11:12:13,456Z")]
    [InlineData("2026-11-20T24:00:00.000Z")]
    [InlineData("2026-12-31T23:59:60.000Z")]
    [InlineData("2026-02-29T00:00:00.000Z")]
    [InlineData("2026-00-01T00:00:00.000Z")]
    [InlineData("2026-13-01T00:00:00.000Z")]
    [InlineData("2026-01-00T00:00:00.000Z")]
    [InlineData("0000-01-01T00:00:00.000Z")]
    [InlineData("+026-01-01T00:00:00.000Z")]
    [InlineData("２026-01-01T00:00:00.000Z")]
    [InlineData("2026-11-20T11:12:13.456+")]
    [InlineData("")]
    [InlineData(null)]
    public void Any_other_text_is_no_time(string? text) => Assert.False(UtcTime.TryParse(text, out _));

    [Fact]
    public void Every_time_survives_its_text() =>
        Prop.ForAll(
            ArbMap.Default.GeneratorFor<long>().Select(n => UtcTime.MinValue.UnixMs
                + (n & long.MaxValue) % (UtcTime.MaxValue.UnixMs - UtcTime.MinValue.UnixMs)).ToArbitrary(),
            ms => UtcTime.TryParse(new UtcTime(ms).ToString(), out UtcTime back) && back.UnixMs == ms)
            .Check(Config.QuickThrowOnFailure.WithMaxTest(2000));

    [Fact]
    public void Arithmetic_stops_at_the_ends_of_the_calendar()
    {
        Assert.Equal(UtcTime.MaxValue, UtcTime.MaxValue + TimeSpan.FromSeconds(300));
        Assert.Equal(UtcTime.MinValue, UtcTime.MinValue - TimeSpan.MaxValue);
        Assert.Equal(UtcTime.MaxValue, UtcTime.FromUnixSeconds(long.MaxValue));
        Assert.Equal(UtcTime.MinValue, UtcTime.FromUnixSeconds(long.MinValue));
        Assert.Throws<ArgumentOutOfRangeException>(() => new UtcTime(UtcTime.MaxValue.UnixMs + 1));
    }

    [Fact]
    public void Differences_and_order_follow_the_milliseconds()
    {
        var a = new UtcTime(1_000);
        var b = a + TimeSpan.FromMinutes(1);
        Assert.Equal(new UtcTime(61_000), b);
        Assert.Equal(TimeSpan.FromMinutes(1), b - a);
        Assert.Equal(a, b - TimeSpan.FromMinutes(1));
        Assert.True(a < b && b > a && a <= b && b >= a);
        Assert.Equal(b, UtcTime.Max(a, b));
        Assert.Equal(a, UtcTime.Min(a, b));
        Assert.Equal(61, b.UnixSeconds);
        Assert.Equal(-1, new UtcTime(-1).UnixSeconds);
        Assert.Equal(b, UtcTime.FromUnixSeconds(61));
    }
}
