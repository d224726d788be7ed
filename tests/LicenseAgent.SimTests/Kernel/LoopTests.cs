using LicenseAgent.Sim.Kernel;
using Xunit;

namespace LicenseAgent.SimTests.Kernel;

/// <summary>The loop, its contexts and its clocks, without any agent.</summary>
public sealed class LoopTests
{
    private const long Second = 1_000_000;

    [Fact]
    public void The_same_seed_runs_what_is_ready_in_the_same_order_and_another_seed_in_another()
    {
        Assert.Equal(OrderOf(1), OrderOf(1));
        Assert.NotEqual(OrderOf(1), OrderOf(2));
    }

    [Fact]
    public void A_killed_process_never_reaches_its_finally()
    {
        SimLoop loop = new(1);
        SimContext context = new(loop, 1, "node");
        List<string> seen = [];
        context.Post(_ => Work(), null);
        loop.At(Second, context.Kill);
        Assert.True(loop.RunUntil(10 * Second, 1_000));
        Assert.Equal(["began"], seen);

        async void Work()
        {
            try
            {
                seen.Add("began");
                await loop.Delay(2 * Second);
                seen.Add("went on");
            }
            finally
            {
                seen.Add("cleaned up");
            }
        }
    }

    [Fact]
    public void A_stopped_process_goes_on_where_it_was()
    {
        SimLoop loop = new(1);
        SimContext context = new(loop, 1, "node");
        long at = 0;
        context.Post(async _ =>
        {
            await loop.Delay(Second);
            at = loop.NowUs;
        }, null);
        loop.At(Second / 2, context.Stop);
        loop.At(5 * Second, context.Continue);
        Assert.True(loop.RunUntil(10 * Second, 1_000));
        Assert.Equal(5 * Second, at);
    }

    [Fact]
    public void Work_that_leaves_the_loop_ends_the_run()
    {
        SimLoop loop = new(1);
        SimContext context = new(loop, 1, "node");
        context.Post(_ => { }, null);
        Thread stranger = new(() => Assert.Throws<LeftTheLoopException>(() => context.Post(_ => { }, null)));
        stranger.Start();
        stranger.Join();
        Assert.Throws<LeftTheLoopException>(() => loop.RunUntil(Second, 1_000));
    }

    [Fact]
    public void A_timer_waits_out_a_suspend_and_boot_time_does_not()
    {
        SimLoop loop = new(1);
        SimContext context = new(loop, 1, "node");
        SimBoot boot = new(loop, "boot", 0);
        SimClock clock = new(loop, context, boot, () => 0);
        long rang = 0;
        using ITimer timer = clock.CreateTimer(
            _ => rang = loop.NowUs, null, TimeSpan.FromSeconds(10), Timeout.InfiniteTimeSpan);
        loop.At(4 * Second, clock.Suspend);
        loop.At(104 * Second, clock.Resume);
        Assert.True(loop.RunUntil(200 * Second, 1_000));
        Assert.Equal(110 * Second, rang);
        Assert.Equal((200 * Second, 100 * Second), (boot.BootUs, boot.MonotonicUs));
    }

    [Fact]
    public void A_fast_clock_rings_early()
    {
        SimLoop loop = new(1);
        SimClock clock = new(loop, new SimContext(loop, 1, "node"), new SimBoot(loop, "boot", 500), () => 0);
        long rang = 0;
        using ITimer timer = clock.CreateTimer(
            _ => rang = loop.NowUs, null, TimeSpan.FromSeconds(10_000), Timeout.InfiniteTimeSpan);
        Assert.True(loop.RunUntil(20_000 * Second, 1_000));
        Assert.InRange(rang, 9_994 * Second, 9_996 * Second);
    }

    [Fact]
    public void Streams_of_different_concerns_are_independent()
    {
        SimRandom disk = SimRandom.Of(7, "till", "disk");
        SimRandom again = SimRandom.Of(7, "till", "disk");
        SimRandom net = SimRandom.Of(7, "till", "net");
        net.Next();
        Assert.Equal(disk.Next(), again.Next());
        Assert.NotEqual(SimRandom.Of(7, "till", "net").Next(), SimRandom.Of(8, "till", "net").Next());
    }

    [Fact]
    public void A_crash_point_kills_after_the_effect_and_the_caller_hears_nothing()
    {
        SimLoop loop = new(1);
        SimContext context = new(loop, 1, "node");
        int effects = 0;
        bool answered = false;
        SimRandom chance = SimRandom.Of(1, "node", "kills");
        Life life = null!;
        life = new Life(loop, context, _ => life.Kill(chance));
        life.CrashAfter(new CrashPoint(1, After: true));
        context.Post(async _ =>
        {
            await life.Call("write", Second, () => ++effects);
            answered = true;
        }, null);
        Assert.True(loop.RunUntil(10 * Second, 1_000));
        Assert.Equal((1, false), (effects, answered));
    }

    private static List<int> OrderOf(ulong seed)
    {
        SimLoop loop = new(seed);
        List<int> order = [];
        for (int i = 0; i < 20; i++)
        {
            int number = i;
            new SimContext(loop, i, "node").Post(_ => order.Add(number), null);
        }

        loop.RunUntil(Second, 1_000);
        return order;
    }
}
