using LicenseAgent.Cli.Display;
using Xunit;

namespace LicenseAgent.UnitTests.Cli;

public sealed class TimeTextTests
{
    [Theory]
    [InlineData("0.00:00:00", "now")]
    [InlineData("0.00:00:00.999", "now")]
    [InlineData("0.00:00:01", "in 1 s")]
    [InlineData("-0.00:00:59", "59 s ago")]
    [InlineData("0.00:01:00", "in 1 min")]
    [InlineData("0.03:12:59", "in 3 h 12 min")]
    [InlineData("-0.23:59:59", "23 h 59 min ago")]
    [InlineData("1.00:59:59", "in 1 d")]
    [InlineData("-400.05:00:00", "400 d 5 h ago")]
    public void A_distance_is_told_in_its_two_largest_units(string distance, string text)
    {
        TimeSpan span = TimeSpan.Parse(distance, System.Globalization.CultureInfo.InvariantCulture);
        Assert.Equal(text, TimeText.Relative(SampleAnswers.Now + span, SampleAnswers.Now));
    }

    [Fact]
    public void A_time_is_told_as_distance_and_to_the_second() => Assert.Equal(
        "in 3 h 12 min (2026-11-03T12:12:00Z)",
        TimeText.Both(SampleAnswers.Now + new TimeSpan(3, 12, 0), SampleAnswers.Now));
}
