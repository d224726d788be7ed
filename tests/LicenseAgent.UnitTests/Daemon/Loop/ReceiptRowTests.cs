using System.Text;
using LicenseAgent.Daemon.Loop;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Loop;

public sealed class ReceiptRowTests
{
    [Fact]
    public void The_last_sixteen_are_kept_the_newest_last()
    {
        byte[] row = [];
        for (int i = 1; i <= 20; i++)
            row = ReceiptRow.Added(row, Encoding.ASCII.GetBytes($"receipt-{i}"));
        string[] lines = Encoding.ASCII.GetString(row).TrimEnd('\n').Split('\n');
        Assert.Equal(Enumerable.Range(5, 16).Select(i => $"receipt-{i}"), lines);
    }

    [Fact]
    public void A_file_of_an_earlier_version_holds_one_without_newline_and_is_gone_on_with() =>
        Assert.Equal("old\nnew\n", Encoding.ASCII.GetString(ReceiptRow.Added("old"u8, "new"u8)));

    [Fact]
    public void Large_ones_leave_fewer_beside_them_and_the_newest_is_always_kept()
    {
        byte[] large = Encoding.ASCII.GetBytes(new string('x', 40_000));
        byte[] row = ReceiptRow.Added(ReceiptRow.Added("small"u8, large), large);
        Assert.Equal("small\n".Length + (2 * (40_000 + 1)), row.Length);
        byte[] huge = new byte[900_000];
        huge.AsSpan().Fill((byte)'y');
        Assert.Equal(900_001 + 40_001, ReceiptRow.Added(row, huge).Length);
    }
}
