using System.Collections.Concurrent;
using LicenseAgent.Daemon.Adapters;
using LicenseAgent.Daemon.Adapters.Files;
using Xunit;

namespace LicenseAgent.ContractTests.Files;

public sealed class MetricsFileTests : IDisposable
{
    private const UnixFileMode WorldReadable =
        ScratchState.OwnerOnly | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    private readonly ScratchState _scratch = new();

    public MetricsFileTests() => Directory.CreateDirectory(_scratch.Path);

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void The_file_is_readable_by_everybody_and_alone()
    {
        new MetricsFile(_scratch["metrics.prom"], Unexpected).Write("a 1\n"u8.ToArray());
        Assert.Equal("a 1\n", File.ReadAllText(_scratch["metrics.prom"]));
        Assert.Equal(WorldReadable, File.GetUnixFileMode(_scratch["metrics.prom"]));
        Assert.Equal(["metrics.prom"], _scratch.Names());
    }

    [Fact]
    public void A_reader_never_sees_half_a_text()
    {
        var file = new MetricsFile(_scratch["metrics.prom"], Unexpected);
        file.Write(Text(0));
        var seen = new ConcurrentBag<string>();
        bool stop = false;
        var reader = new Thread(() =>
        {
            while (!Volatile.Read(ref stop))
                seen.Add(File.ReadAllText(_scratch["metrics.prom"]));
        });
        reader.Start();
        for (int i = 1; i < 200; i++)
            file.Write(Text(i));
        Volatile.Write(ref stop, true);
        reader.Join();
        Assert.All(seen, text => Assert.Single(text.Distinct()));

        static byte[] Text(int i) => [.. Enumerable.Repeat((byte)('a' + i % 26), 20_000)];
    }

    [Fact]
    public async Task Of_many_texts_the_newest_ends_up_in_the_file()
    {
        var written = new TaskCompletionSource();
        using var watcher = new FileSystemWatcher(_scratch.Path, "metrics.prom");
        var file = new MetricsFile(_scratch["metrics.prom"], Unexpected);
        watcher.Renamed += (_, _) => SignalWhenLast();
        watcher.EnableRaisingEvents = true;
        for (int i = 0; i <= 500; i++)
            file.Publish([.. $"a {i}\n".Select(c => (byte)c)]);
        SignalWhenLast();
        await written.Task.WaitAsync(TestContext.Current.CancellationToken);
        Assert.Equal("a 500\n", await File.ReadAllTextAsync(
            _scratch["metrics.prom"], TestContext.Current.CancellationToken));

        void SignalWhenLast()
        {
            if (File.Exists(_scratch["metrics.prom"]) && File.ReadAllText(_scratch["metrics.prom"]) == "a 500\n")
                written.TrySetResult();
        }
    }

    [Fact]
    public void A_text_that_cannot_be_written_is_reported_and_the_next_one_tried()
    {
        var failures = new BlockingCollection<Exception>();
        var file = new MetricsFile(_scratch["missing/metrics.prom"], failures.Add);
        file.Publish([1]);
        Assert.IsType<DirectoryNotFoundException>(failures.Take(TestContext.Current.CancellationToken));
        file.Publish([2]);
        Assert.IsType<DirectoryNotFoundException>(failures.Take(TestContext.Current.CancellationToken));
    }

    private static void Unexpected(Exception error) => throw new InvalidOperationException("not expected", error);
}
