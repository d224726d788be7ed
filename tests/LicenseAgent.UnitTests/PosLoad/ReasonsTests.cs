using LicenseAgent.PosLoad.Load;
using LicenseAgent.PosLoad.Measure;
using Xunit;

namespace LicenseAgent.UnitTests.PosLoad;

public sealed class ReasonsTests
{
    [Fact]
    public void The_most_frequent_come_first()
    {
        Reasons reasons = new();
        reasons.Add("refused");
        reasons.Add("closed", 3);
        reasons.Add("late", 2);
        Assert.Equal(["3 x closed", "2 x late"], reasons.Top(2));
    }

    [Fact]
    public void There_are_never_more_than_so_many_and_none_is_lost()
    {
        Reasons reasons = new();
        for (int i = 0; i < 1000; i++)
        {
            reasons.Add($"reason {i}");
        }

        Assert.Equal(Reasons.KindsMax + 1, reasons.Counts.Count);
        Assert.Equal(1000, reasons.Counts.Values.Sum());
        Assert.Equal($"{1000 - Reasons.KindsMax} x {Reasons.Other}", reasons.Top(1)[0]);
    }

    [Fact]
    public void Seconds_keep_their_reasons_and_a_run_sums_them()
    {
        LoadResult result = new("x");
        SecondBook book = new(result, (_, _) => { });
        foreach (double due in (double[])[0.5, 0.6, 1.5])
        {
            book.Due(due, 0, isClosed: false);
            book.Settle(due, Outcome.Broken, 0, "timeout");
        }

        book.Report(double.PositiveInfinity);
        Assert.Equal([2L, 1L], result.Seconds.Select(s => s.Broken));
        Assert.Equal(["3 x timeout"], result.Troubles);
    }

    [Fact]
    public void A_second_is_told_when_it_is_over_and_everything_in_it_has_ended()
    {
        List<int> told = [];
        SecondBook book = new(new LoadResult("x"), (_, second) => told.Add(second.Second));
        book.Due(0.5, 0, isClosed: false);
        book.Due(1.5, 0, isClosed: false);
        book.Settle(1.5, Outcome.Expected, 0.1, "");
        book.Report(3);
        Assert.Empty(told);
        book.Settle(0.5, Outcome.Expected, 2, "");
        book.Report(1.2);
        Assert.Equal([0], told);
        book.Report(2);
        Assert.Equal([0, 1], told);
    }

    [Fact]
    public void What_was_tried_while_nobody_was_there_is_neither_due_nor_failed()
    {
        LoadResult result = new("x");
        SecondBook book = new(result, (_, _) => { });
        book.Due(0.5, 0, isClosed: false);
        book.Away(0.5);
        book.Report(1);
        Assert.Equal((0, 0, 1), (result.Due, result.Failed, result.Seconds[0].Away));
    }
}
