using System.Net.Sockets;
using System.Text;
using LicenseAgent.Daemon.Adapters;
using LicenseAgent.Daemon.Adapters.ServiceManager;
using LicenseAgent.UnitTests.Pki;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Adapters;

public sealed class WatchdogTests : IDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);

    private readonly ManualTime _time = new();
    private readonly ScratchDirectory _scratch = new();
    private readonly List<string> _silent = [];
    private int _pings;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _scratch.Dispose();

    [Theory]
    [InlineData("30000000", null, 30.0)]
    [InlineData("30000000", "7", 30.0)]
    [InlineData("500000", "", 0.5)]
    [InlineData("30000000", "8", null)]
    [InlineData(null, "7", null)]
    [InlineData("0", null, null)]
    [InlineData("soon", null, null)]
    public void The_limit_is_the_managers_and_meant_for_this_process(string? us, string? pid, double? seconds) =>
        Assert.Equal(seconds, Watchdog.LimitOf(us, pid, ownPid: 7)?.TotalSeconds);

    [Fact]
    public async Task A_round_in_which_every_sign_is_shown_pings()
    {
        Watchdog dog = Dog(Shown("loop"), Shown("pos.sock"));
        Assert.True(await dog.RoundAsync(Cancel));
        Assert.Equal((1, 0), (_pings, _silent.Count));
    }

    [Theory]
    [InlineData("loop")]
    [InlineData("pos.sock")]
    public async Task A_sign_that_stays_away_for_a_third_of_the_limit_keeps_it_silent(string missing)
    {
        Watchdog dog = Dog(
            missing == "loop" ? Never("loop") : Shown("loop"),
            missing == "pos.sock" ? Never("pos.sock") : Shown("pos.sock"));
        Task<bool> round = dog.RoundAsync(Cancel);
        _time.Advance(s_limit / 3 - TimeSpan.FromMilliseconds(1));
        Assert.False(round.IsCompleted);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.False(await round);
        Assert.Equal((0, missing), (_pings, Assert.Single(_silent)));
    }

    [Fact]
    public async Task A_refused_connection_keeps_it_silent()
    {
        Watchdog dog = Dog(new LifeSign("pos.sock", cancel => SelfCall.AskAsync(_scratch["none.sock"], cancel)));
        Assert.False(await dog.RoundAsync(Cancel));
        Assert.Equal(0, _pings);
    }

    [Fact]
    public async Task Silence_is_told_once_and_ends_with_the_next_good_round()
    {
        bool works = false;
        Watchdog dog = Dog(new LifeSign(
            "loop", _ => works ? Task.CompletedTask : Task.FromException(new IOException("no"))));
        await dog.RoundAsync(Cancel);
        await dog.RoundAsync(Cancel);
        Assert.Single(_silent);
        works = true;
        Assert.True(await dog.RoundAsync(Cancel));
        works = false;
        await dog.RoundAsync(Cancel);
        Assert.Equal((1, 2), (_pings, _silent.Count));
    }

    [Fact]
    public async Task A_blocked_loop_is_silence_on_the_managers_socket_and_a_free_one_a_ping()
    {
        using var manager = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        manager.Bind(new UnixDomainSocketEndPoint(_scratch["notify"]));
        using var service = new ServiceNotify(NullLogger.Instance, _scratch["notify"]);
        using LoopThread loop = new();
        using ManualResetEventSlim blocked = new(), free = new();
        loop.Post(
            _ =>
            {
                blocked.Set();
                free.Wait(Cancel);
            },
            null);
        blocked.Wait(Cancel);
        var dog = new Watchdog(
            s_limit, _time, [new LifeSign("loop", _ => loop.RunAsync(() => Task.CompletedTask))], service.Alive,
            _silent.Add);

        Task<bool> round = dog.RoundAsync(Cancel);
        _time.Advance(s_limit);
        Assert.False(await round);
        Assert.Equal((0, "loop"), (manager.Available, Assert.Single(_silent)));

        free.Set();
        Assert.True(await dog.RoundAsync(Cancel));
        byte[] told = new byte[64];
        Assert.Equal("WATCHDOG=1", Encoding.UTF8.GetString(told, 0, manager.Receive(told)));
    }

    [Fact]
    public async Task Rounds_follow_each_other_a_third_of_the_limit_apart_until_the_stop()
    {
        using CancellationTokenSource stop = new();
        using SemaphoreSlim pinged = new(0);
        var dog = new Watchdog(s_limit, _time, [Shown("loop")], () => pinged.Release(), _silent.Add);
        Task running = dog.RunAsync(stop.Token);
        for (int i = 0; i < 4; i++)
        {
            await pinged.WaitAsync(Cancel);
            Assert.Equal(0, pinged.CurrentCount);
            _time.Advance(s_limit / 3);
        }

        await stop.CancelAsync();
        await running;
    }

    private Watchdog Dog(params LifeSign[] signs) => new(s_limit, _time, signs, () => _pings++, _silent.Add);

    private static LifeSign Shown(string name) => new(name, _ => Task.CompletedTask);

    private static LifeSign Never(string name) => new(name, _ => new TaskCompletionSource().Task);
}
