using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.World;
using LicenseAgent.Sim.World.Faults;
using Xunit;

namespace LicenseAgent.SimTests.World;

/// <summary>Each trouble of a link has the effect that it names, and no other.</summary>
public sealed class SimNetTests : IDisposable
{
    private readonly SimWay _way = new();
    private byte[]? _checkIn;

    private LinkTroubles Link => _way.Till.Link;

    private long NowUs => _way.Model.Loop.NowUs;

    /// <summary>What the server judged, in order.</summary>
    private IEnumerable<string> Verdicts => _way.Model.History.All.OfType<Received>().Select(r => r.Verdict);

    public void Dispose() => _way.Till.Dispose();

    [Fact]
    public async Task A_good_link_is_quick_and_brings_every_message_once()
    {
        await _way.EnrolAsync();
        await CheckInAsync();
        Assert.Equal(["ok", "ok"], Verdicts);
        Assert.InRange(NowUs, 1, 2_000_000);
        Assert.Equal(2, _way.Model.History.All.OfType<RequestLeft>().Count());
    }

    [Theory]
    [InlineData("out")]
    [InlineData("loss out")]
    public async Task What_is_lost_on_its_way_out_the_server_never_saw(string trouble)
    {
        (Link.CutOut, Link.LossOut) = (trouble == "out", trouble == "loss out" ? 1 : 0);
        await NoContactAsync("timeout");
        Assert.Empty(Verdicts);
        Assert.Equal(SimWay.DeadlineUs, NowUs, tolerance: 100_000);
    }

    [Theory]
    [InlineData("in")]
    [InlineData("loss in")]
    [InlineData("this answer")]
    public async Task What_is_lost_on_its_way_in_the_server_has_done(string trouble)
    {
        (Link.CutIn, Link.LossIn) = (trouble == "in", trouble == "loss in" ? 1 : 0);
        if (trouble == "this answer")
        {
            Link.LoseAnswer.Arm(0, inTimes: 1);
        }

        await NoContactAsync("timeout");
        Assert.Equal(["ok"], Verdicts);
        Assert.Equal(SimWay.DeadlineUs, NowUs, tolerance: 100_000);
    }

    [Fact]
    public async Task The_nth_answer_is_lost_and_those_before_and_after_it_are_not()
    {
        Link.LoseAnswer.Arm(0, inTimes: 2);
        Assert.Equal(200, (await _way.FetchKeysetAsync()).Status);
        await Assert.ThrowsAsync<NoContactException>(_way.FetchKeysetAsync);
        Assert.Equal(200, (await _way.FetchKeysetAsync()).Status);
    }

    [Fact]
    public async Task Of_a_doubled_request_the_server_sees_both_and_acts_on_one()
    {
        Link.Duplicates = 1;
        Assert.Equal(200, (await _way.EnrolAsync()).Status);
        _way.Model.Pass(TimeSpan.FromSeconds(10));
        Assert.Equal(["ok", "REPLAY"], Verdicts);
    }

    [Fact]
    public async Task A_connection_that_breaks_off_within_the_answer_is_none_although_the_server_has_done_its_work()
    {
        Link.ResetsIn = 1;
        await NoContactAsync("incomplete");
        Assert.Equal(["ok"], Verdicts);
        Assert.InRange(NowUs, 1, 2_000_000);
    }

    [Fact]
    public async Task Half_of_the_latency_each_way_is_the_least_that_an_exchange_takes()
    {
        Link.LatencyUs = 5_000_000;
        Assert.Equal(200, (await _way.EnrolAsync()).Status);
        Assert.InRange(NowUs, 5_000_000, SimWay.DeadlineUs);
    }

    [Fact]
    public async Task An_answer_that_comes_when_its_sender_gave_up_reaches_nobody()
    {
        Link.LatencyUs = 100_000_000;
        await NoContactAsync("timeout");
        _way.Model.Pass(TimeSpan.FromHours(1));
        Assert.Equal(["ok"], Verdicts);
        Assert.Empty(_way.Model.History.All.OfType<AnswerJudged>());
    }

    [Fact]
    public async Task A_page_of_somebody_on_the_way_comes_instead_of_every_answer_and_the_server_sees_nothing()
    {
        Link.Forges = Forgery.Unsigned;
        Assert.False(IsSigned(await _way.EnrolAsync()));
        Assert.False(IsSigned(await _way.FetchKeysetAsync()));
        Assert.Empty(Verdicts);
    }

    [Fact]
    public async Task A_replayed_answer_is_one_of_before_to_the_same_agent_and_the_server_has_done_its_work()
    {
        byte[] enrolled = (await _way.EnrolAsync()).Body;
        Link.Forges = Forgery.Replayed;
        Assert.Equal(enrolled, (await CheckInAsync()).Body);
        Assert.Equal(["ok", "ok"], Verdicts);
    }

    [Fact]
    public async Task Another_agent_s_answer_is_signed_and_was_given_to_the_other()
    {
        await _way.EnrolAsync();
        ModelAgent other = new(_way.Model, "pos-002");
        using SimTill till = _way.NewTill("pos-002", 2);
        byte[] theirs = other.Sign(other.EnrollRequest(_way.Model.Server.Add("pos-002")));
        UpstreamAnswer given = await _way.ExchangeAsync(_way.PortOf(till), "POST", AgentPaths.Enroll, theirs);

        Link.Forges = Forgery.CrossAgent;
        UpstreamAnswer crossed = await CheckInAsync();
        Assert.True(IsSigned(crossed));
        Assert.Equal(given.Body, crossed.Body);
    }

    [Theory]
    [InlineData(nameof(Forgery.Replayed))]
    [InlineData(nameof(Forgery.CrossAgent))]
    public async Task While_there_is_no_answer_to_take_the_true_one_arrives(string kind)
    {
        Link.Forges = Enum.Parse<Forgery>(kind);
        Assert.True(IsSigned(await _way.EnrolAsync()));
    }

    [Fact]
    public async Task Of_a_flipped_answer_one_bit_is_another()
    {
        await _way.EnrolAsync();
        Link.Forges = Forgery.Flipped;
        byte[] flipped = (await CheckInAsync()).Body;

        // A world of the same seed in which nothing is flipped.
        SimWay twin = new();
        using SimTill till = twin.Till;
        await twin.EnrolAsync();
        byte[] original = (await twin.PostAsync(AgentPaths.CheckIn, _checkIn!)).Body;
        Assert.Equal(original.Length, flipped.Length);
        (byte was, byte became) = Assert.Single(original.Zip(flipped), pair => pair.First != pair.Second);
        Assert.Equal(1, was ^ became);
    }

    [Theory]
    [InlineData(nameof(Forgery.Replayed))]
    [InlineData(nameof(Forgery.CrossAgent))]
    [InlineData(nameof(Forgery.Flipped))]
    public async Task Keysets_prove_themselves_and_are_not_forged(string kind)
    {
        byte[] plain = (await _way.FetchKeysetAsync()).Body;
        await _way.EnrolAsync();
        Link.Forges = Enum.Parse<Forgery>(kind);
        Assert.Equal(plain, (await _way.FetchKeysetAsync()).Body);
    }

    private Task<UpstreamAnswer> CheckInAsync()
    {
        _checkIn = _way.Agent.Sign(_way.Agent.CheckInRequest());
        return _way.PostAsync(AgentPaths.CheckIn, _checkIn);
    }

    private async Task NoContactAsync(string reason) =>
        Assert.Equal(reason, (await Assert.ThrowsAsync<NoContactException>(() => _way.EnrolAsync())).Reason);

    private static bool IsSigned(UpstreamAnswer answer) => CompactJws.TryParse(
        answer.Body, JoseTypes.ServerResponse, AgentApiLimits.AnswerBytes, out _);
}
