using LicenseAgent.Daemon.Ports;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.World;
using LicenseAgent.Tpm;
using Xunit;

namespace LicenseAgent.SimTests.World;

/// <summary>What a TPM has done when its command fails, or the process dies that gave it.</summary>
public sealed class SimTpmTests
{
    private static readonly byte[] s_auth = new byte[32];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_command_that_fails_has_done_all_or_nothing(bool losesAnswer)
    {
        Bench bench = await Bench.StartAsync();
        long before = bench.Tpm.ReadCounter();
        bench.Tpm.Troubles.FailAtCommand.Arm(0, inTimes: 1);
        bench.Tpm.Troubles.LosesAnswer = losesAnswer;

        Task<long> call = bench.Ports.IncrementCounterAsync(Cancel);
        await Assert.ThrowsAsync<TpmUnavailableException>(() => bench.Settle(call));

        Assert.Equal(before + (losesAnswer ? 1 : 0), bench.Tpm.ReadCounter());
        Assert.Equal(bench.Tpm.ReadCounter() + 1, await bench.Settle(bench.Ports.IncrementCounterAsync(Cancel)));
    }

    [Fact]
    public async Task Of_commands_that_are_not_answered_in_time_some_take_effect()
    {
        Bench bench = await Bench.StartAsync();
        bench.Tpm.Troubles.SlowUs = 40_000_000;
        long before = bench.Tpm.ReadCounter();
        for (int i = 0; i < 20; i++)
        {
            await Assert.ThrowsAsync<TpmUnavailableException>(
                () => bench.Settle(bench.Ports.IncrementCounterAsync(Cancel)));
        }

        Assert.InRange(bench.Tpm.ReadCounter() - before, 1, 19);
    }

    /// <summary>Of a counter, an index and a provisioning in flight a kill leaves none or all.</summary>
    [Theory]
    [InlineData("increment")]
    [InlineData("mirror")]
    [InlineData("provision")]
    public async Task A_kill_may_leave_a_command_in_flight_done(string command)
    {
        HashSet<bool> done = [];
        for (int seed = 1; seed <= 20; seed++)
        {
            Bench bench = await Bench.StartAsync();
            (long counter, string name) = (bench.Tpm.ReadCounter(), bench.Tpm.Birth(s_auth).Anchor.SigningName);
            _ = command switch
            {
                "increment" => bench.Ports.IncrementCounterAsync(Cancel),
                "mirror" => bench.Ports.WriteMirrorAsync(new NvMirror(1, 1, new byte[32]), Cancel),
                _ => (Task)bench.Ports.ProvisionAsync(s_auth, null, replace: true, Cancel),
            };
            bench.Life.Kill(SimRandom.Of((ulong)seed, "bench", "kill"));
            done.Add(bench.Tpm.ReadMirror() is not null || bench.Tpm.ReadCounter() > counter
                || bench.Tpm.Birth(s_auth).Anchor.SigningName != name);
        }

        Assert.Equal([false, true], done.Order());
    }

    [Fact]
    public async Task I26_every_use_of_a_key_under_a_wrong_auth_value_is_counted()
    {
        Bench bench = await Bench.StartAsync();
        TpmAnchor wrong = bench.Tpm.Birth(s_auth).Anchor with { KeyAuth = [.. Enumerable.Repeat((byte)1, 32)] };

        Task<TpmFacts> open = bench.Ports.OpenAsync(wrong, Cancel);
        await Assert.ThrowsAsync<TpmUnavailableException>(() => bench.Settle(open));
        Assert.Equal(1, bench.Tpm.AuthFailures);
        Task<TpmBirth> provision = bench.Ports.ProvisionAsync(wrong.KeyAuth, null, replace: false, Cancel);
        await Assert.ThrowsAsync<TpmUnavailableException>(() => bench.Settle(provision));
        Assert.Equal(2, bench.Tpm.AuthFailures);
    }

    [Fact]
    public async Task Nothing_that_needs_a_key_goes_before_it_is_opened_and_nothing_goes_on_with_keys_that_are_gone()
    {
        Bench bench = await Bench.StartAsync();
        await bench.Settle(bench.Ports.ProvisionAsync(s_auth, null, replace: true, Cancel));
        Task<long> with = bench.Ports.ReadCounterAsync(Cancel);
        TpmPorts others = new(bench.Life, bench.Tpm, SimRandom.Of(1, "bench", "others"));
        Task<long> without = others.ReadCounterAsync(Cancel);

        Assert.Equal(
            TpmTrouble.Replaced, (await Assert.ThrowsAsync<TpmUnavailableException>(() => bench.Settle(with))).Trouble);
        await Assert.ThrowsAsync<InvalidOperationException>(() => bench.Settle(without));
        Assert.Equal(0, bench.Tpm.AuthFailures);
    }

    private sealed class Bench
    {
        private readonly PortBench _bench = new();

        private Bench()
        {
            Tpm = new SimTpm(_bench.Loop, _bench.Chance, SimRandom.Of(1, "bench", "late"));
            Ports = new TpmPorts(_bench.Life, Tpm, _bench.Chance);
        }

        public SimTpm Tpm { get; }

        public TpmPorts Ports { get; }

        public Life Life => _bench.Life;

        /// <summary>Provisioned and opened.</summary>
        public static async Task<Bench> StartAsync()
        {
            Bench bench = new();
            TpmBirth birth = await bench.Settle(bench.Ports.ProvisionAsync(s_auth, null, replace: false, Cancel));
            await bench.Settle(bench.Ports.OpenAsync(birth.Anchor, Cancel));
            return bench;
        }

        public T Settle<T>(T call)
            where T : Task => _bench.Settle(call);
    }
}
