using LicenseAgent.PosLoad.Measure;
using Xunit;

namespace LicenseAgent.UnitTests.PosLoad;

public sealed class LatencyHistogramTests
{
    [Fact]
    public void A_quantile_is_at_most_1_6_percent_above_the_value_recorded()
    {
        for (long value = 1; value < 1 << 26; value += 1 + (value / 50))
        {
            LatencyHistogram one = new();
            one.Record(value);
            one.Record(1 << 25);
            long read = one.Quantile(0.5);
            if (value < 1 << 25)
            {
                Assert.InRange(read, value, value + (value / 64) + 1);
            }
        }
    }

    [Fact]
    public void Quantiles_of_a_thousand_values_are_their_ranks()
    {
        LatencyHistogram all = new();
        for (int i = 1; i <= 60; i++)
        {
            all.Record(i);
        }

        Assert.Equal(30, all.Quantile(0.5));
        Assert.Equal(60, all.Quantile(1));
        Assert.Equal(1, all.Quantile(0));
        Assert.Equal(60, all.Max);
    }

    [Fact]
    public void What_is_longer_than_a_minute_counts_as_the_longest()
    {
        LatencyHistogram one = new();
        one.Record(long.MaxValue);
        Assert.Equal((1L << 26) - 1, one.Quantile(0.99));
    }

    [Fact]
    public void Nothing_recorded_is_zero_everywhere() => Assert.Equal(0, new LatencyHistogram().Quantile(0.99));

    [Fact]
    public void The_sparse_form_gives_the_same_quantiles_and_the_longest_within_its_bucket()
    {
        LatencyHistogram all = new();
        Random random = new(7);
        for (int i = 0; i < 10_000; i++)
        {
            all.Record(random.NextInt64(5_000_000));
        }

        LatencyHistogram read = LatencyHistogram.FromSparse(all.Sparse());
        Assert.Equal(all.Count, read.Count);
        Assert.All([0.1, 0.5, 0.9, 0.99], q => Assert.Equal(all.Quantile(q), read.Quantile(q)));
        Assert.InRange(read.Max, all.Max, all.Max + (all.Max / 64));
    }

    [Fact]
    public void Added_histograms_count_together()
    {
        LatencyHistogram a = new(), b = new();
        a.Record(10, 99);
        b.Record(1000);
        a.Add(b);
        Assert.Equal(100, a.Count);
        Assert.Equal(10, a.Quantile(0.99));
        Assert.InRange(a.Quantile(1), 1000, 1000);
    }

    [Theory]
    [InlineData(-1, 1)]
    [InlineData(1_000_000, 1)]
    [InlineData(3, 0)]
    public void A_sparse_form_that_cannot_be_is_refused(long bucket, long count) =>
        Assert.Throws<FormatException>(() => LatencyHistogram.FromSparse([[bucket, count]]));
}
