using System.Diagnostics;
using LicenseAgent.Testbed.Tpm;
using LicenseAgent.Tpm;
using Xunit;

namespace LicenseAgent.ContractTests.Tpm;

/// <summary>A TPM that hangs, dies, hesitates or talks nonsense.</summary>
public sealed class TpmFailureTests(TpmSeed seed)
{
    // Long enough that a slow machine opens a healthy TPM in it, short enough to wait for.
    private static readonly TimeSpan s_short = TimeSpan.FromMilliseconds(1500);

    // What a slow machine may add to a deadline; a hang would be caught by the run's own limit.
    private static readonly TimeSpan s_slack = TimeSpan.FromSeconds(20);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(SwtpmListen.Unix)]
    [InlineData(SwtpmListen.Tcp)]
    public async Task A_stopped_tpm_times_out_by_its_deadline_and_works_when_it_goes_on(SwtpmListen listen)
    {
        await using var till = await seed.StartAsync(listen, o => o with { CommandTimeout = s_short });
        till.Swtpm.Stop();

        var watch = Stopwatch.StartNew();
        var e = await Assert.ThrowsAsync<TpmException>(() => till.Device.SignAsync(new byte[32], Cancel));

        Assert.Equal(TpmFailure.TimedOut, e.Reason);
        Assert.True(e.IsTransient);
        Assert.InRange(watch.Elapsed, s_short - TimeSpan.FromMilliseconds(50), s_short + s_slack);
        till.Swtpm.Continue();
        Assert.NotEmpty(await UntilAvailableAsync(() => till.Device.SignAsync(new byte[32], Cancel)));
        Assert.Empty(await till.Device.LoadedHandlesAsync(Cancel));
    }

    [Fact]
    public async Task A_killed_tpm_is_unavailable_and_works_again_after_its_restart()
    {
        await using var till = await seed.StartAsync();
        await till.Swtpm.KillAsync();

        var e = await Assert.ThrowsAsync<TpmException>(() => till.Device.SignAsync(new byte[32], Cancel));
        Assert.Equal(TpmFailure.Unavailable, e.Reason);
        Assert.True(e.IsTransient);

        await till.Swtpm.RestartAsync(Cancel);
        Assert.NotEmpty(await till.Device.SignAsync(new byte[32], Cancel));
    }

    [Fact]
    public async Task A_restart_between_two_calls_goes_unnoticed()
    {
        await using var till = await seed.StartAsync();

        await till.Swtpm.RestartAsync(Cancel);

        Assert.NotEmpty(await till.Device.SignAsync(new byte[32], Cancel));
    }

    [Theory]
    [InlineData(0x922u)]
    [InlineData(0x908u)]
    [InlineData(0x90Au)]
    [InlineData(0x920u)]
    [InlineData(0x923u)]
    public async Task An_answer_that_says_try_again_is_tried_again_and_the_command_done_once(uint rc)
    {
        await using var till = await seed.StartAsync();
        await using var proxy = TpmProxy.Start(till.Swtpm);
        await using var device = await OpenThroughAsync(till, proxy);
        var before = await device.ReadCounterAsync(Cancel);
        var rule = proxy.Add(new TpmRule { On = TpmCommand.NvIncrement, Fault = TpmFault.Answer, Rc = rc, Times = 3 });

        var after = await device.IncrementCounterAsync(Cancel);

        Assert.Equal(4, rule.Seen);
        Assert.Equal(before + 1, after);
    }

    [Fact]
    public async Task A_tpm_that_says_try_again_for_ever_is_busy_after_ten_times()
    {
        await using var till = await seed.StartAsync();
        await using var proxy = TpmProxy.Start(till.Swtpm);
        await using var device = await OpenThroughAsync(till, proxy);
        var rule = proxy.Add(new TpmRule { On = TpmCommand.Sign, Fault = TpmFault.Answer, Rc = 0x922, Times = 0 });

        var e = await Assert.ThrowsAsync<TpmException>(() => device.SignAsync(new byte[32], Cancel));

        Assert.Equal(TpmFailure.Busy, e.Reason);
        Assert.True(e.IsTransient);
        Assert.Equal(10, rule.Seen);
        proxy.Heal();
        Assert.NotEmpty(await device.SignAsync(new byte[32], Cancel));
        Assert.Empty(await device.LoadedHandlesAsync(Cancel));
    }

    [Theory]
    [InlineData(0x98Eu, TpmFailure.AuthFailed, false)]
    [InlineData(0x9A2u, TpmFailure.AuthFailed, false)]
    [InlineData(0x921u, TpmFailure.Lockout, true)]
    public async Task Auth_failures_and_lockout_are_reported_once_and_never_retried(
        uint rc, TpmFailure reason, bool transient)
    {
        await using var till = await seed.StartAsync();
        await using var proxy = TpmProxy.Start(till.Swtpm);
        await using var device = await OpenThroughAsync(till, proxy);
        var rule = proxy.Add(new TpmRule { On = TpmCommand.RsaDecrypt, Fault = TpmFault.Answer, Rc = rc, Times = 0 });

        var e = await Assert.ThrowsAsync<TpmException>(
            () => device.UnwrapAsync(till.Wrap(new byte[32]), new byte[32], Cancel));

        Assert.Equal(reason, e.Reason);
        Assert.Equal(rc, e.ResponseCode);
        Assert.Equal(transient, e.IsTransient);
        Assert.Equal(1, rule.Seen);
    }

    [Fact]
    public async Task A_tpm_in_failure_mode_is_no_reason_to_give_a_secret_up()
    {
        await using var till = await seed.StartAsync();
        await using var proxy = TpmProxy.Start(till.Swtpm);
        await using var device = await OpenThroughAsync(till, proxy);
        proxy.Add(new TpmRule { On = TpmCommand.RsaDecrypt, Fault = TpmFault.Answer, Rc = 0x101, Times = 0 });

        var e = await Assert.ThrowsAsync<TpmException>(
            () => device.UnwrapAsync(till.Wrap(new byte[32]), new byte[32], Cancel));

        Assert.Equal(TpmFailure.CommandFailed, e.Reason);
        Assert.True(e.IsTransient);
    }

    [Fact]
    public async Task A_lost_answer_to_an_increment_is_unavailable_and_the_counter_tells_what_happened()
    {
        await using var till = await seed.StartAsync();
        await using var proxy = TpmProxy.Start(till.Swtpm);
        await using var device = await OpenThroughAsync(till, proxy);
        var before = await device.ReadCounterAsync(Cancel);

        proxy.Add(new TpmRule { On = TpmCommand.NvIncrement, Fault = TpmFault.DropBefore });
        var lost = await Assert.ThrowsAsync<TpmException>(() => device.IncrementCounterAsync(Cancel));
        Assert.Equal(TpmFailure.Unavailable, lost.Reason);
        Assert.Equal(before, await device.ReadCounterAsync(Cancel));

        proxy.Add(new TpmRule { On = TpmCommand.NvIncrement, Fault = TpmFault.DropAfter });
        await Assert.ThrowsAsync<TpmException>(() => device.IncrementCounterAsync(Cancel));
        Assert.Equal(before + 1, await device.ReadCounterAsync(Cancel));
        Assert.Empty(await device.LoadedHandlesAsync(Cancel));
    }

    [Fact]
    public async Task The_queue_refuses_what_it_has_no_room_for_and_serves_the_rest()
    {
        await using var till = await seed.StartAsync();
        await using var proxy = TpmProxy.Start(till.Swtpm);
        await using var device = await OpenThroughAsync(till, proxy);
        var hold = proxy.Add(new TpmRule { On = TpmCommand.ReadClock, Fault = TpmFault.Hang });
        var first = device.ReadClockAsync(Cancel);
        await hold.Reached;
        var waiting = Enumerable.Range(0, 64).Select(_ => device.ReadClockAsync(Cancel)).ToList();

        var e = await Assert.ThrowsAsync<TpmException>(() => device.ReadClockAsync(Cancel));
        Assert.Equal(TpmFailure.Overloaded, e.Reason);

        hold.Release();
        await first;
        await Task.WhenAll(waiting);
    }

    [Fact]
    public async Task A_cancelled_call_that_still_waits_is_never_sent()
    {
        await using var till = await seed.StartAsync();
        await using var proxy = TpmProxy.Start(till.Swtpm);
        await using var device = await OpenThroughAsync(till, proxy);
        var hold = proxy.Add(new TpmRule { On = TpmCommand.ReadClock, Fault = TpmFault.Hang });
        var first = device.ReadClockAsync(Cancel);
        await hold.Reached;
        using var change = new CancellationTokenSource();
        var second = device.IncrementCounterAsync(change.Token);

        await change.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);

        hold.Release();
        await first;
        await device.ReadClockAsync(Cancel);
        Assert.Equal(0, proxy.Recording.Count(TpmCommand.NvIncrement));
    }

    [Fact]
    public async Task Disposal_ends_a_call_that_hangs_and_those_that_wait()
    {
        await using var till = await seed.StartAsync();
        await using var proxy = TpmProxy.Start(till.Swtpm);
        var device = await OpenThroughAsync(till, proxy);
        var hold = proxy.Add(new TpmRule { On = TpmCommand.ReadClock, Fault = TpmFault.Hang });
        var hanging = device.ReadClockAsync(Cancel);
        await hold.Reached;
        var waiting = device.ReadClockAsync(Cancel);

        await device.DisposeAsync();

        var e = await Assert.ThrowsAsync<TpmException>(() => hanging);
        Assert.Equal(TpmFailure.Unavailable, e.Reason);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => waiting);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => device.ReadClockAsync(Cancel));
    }

    [Fact]
    public async Task A_device_that_is_not_there_is_unavailable_and_named()
    {
        await using var device = new TpmDevice(new TpmOptions("device:/dev/no-such-tpm"));

        var e = await Assert.ThrowsAsync<TpmException>(() => device.ReadClockAsync(Cancel));

        Assert.Equal(TpmFailure.Unavailable, e.Reason);
        Assert.Contains("/dev/no-such-tpm", e.Message, StringComparison.Ordinal);
    }

    private static async Task<TpmDevice> OpenThroughAsync(TillTpm till, TpmProxy proxy)
    {
        await till.DisconnectAsync();
        var device = new TpmDevice(new TpmOptions(proxy.Device));
        await device.OpenAsync(till.Binding, Cancel);
        return device;
    }

    // A continued swtpm first works off what it was sent while it stood still, and only then accepts a new client.
    private static async Task<T> UntilAvailableAsync<T>(Func<Task<T>> call)
    {
        while (true)
        {
            try
            {
                return await call();
            }
            catch (TpmException e) when (e.IsTransient)
            {
                Cancel.ThrowIfCancellationRequested();
            }
        }
    }
}
