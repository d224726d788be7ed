using System.Text;
using System.Text.Json.Nodes;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Testbed.Servers;
using LicenseAgent.UnitTests.Server;
using LicenseServer.Agents;
using Xunit;

namespace LicenseAgent.UnitTests.Testbed;

/// <summary>What each fault around the real license server does to a request and its answer, byte by byte.</summary>
public sealed class FaultyServerTests : IAsyncLifetime
{
    private readonly ServerFaults _faults = new();
    private ServerHarness _server = null!;
    private InMemoryAgentApi _api = null!;
    private TestAgent _agent = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _server = await ServerHarness.StartAsync();
        _agent = await _server.ActiveAsync();
        _api = await InMemoryAgentApi.StartAsync(_server.App, _faults, Cancel);
    }

    public async ValueTask DisposeAsync()
    {
        await _api.DisposeAsync();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task Without_a_fault_the_answer_is_the_server_s()
    {
        var answer = await CheckInAsync(_agent);
        Assert.IsType<CheckInAnswer>(Read(_agent, answer));
    }

    [Fact]
    public async Task A_replay_is_the_answer_before_to_the_same_agent_and_action()
    {
        var first = await CheckInAsync(_agent);
        await CheckInAsync(await _server.ActiveAsync(agentId: "pos-002"));
        _faults.Add(new ServerFault { Match = AgentActions.CheckIn, Malice = ServerMalice.Replay });
        Assert.Equal(first.Body, (await CheckInAsync(_agent)).Body);
    }

    [Fact]
    public async Task While_there_is_nothing_to_replay_the_true_answer_leaves()
    {
        _faults.Add(new ServerFault { Match = "*", Malice = ServerMalice.Replay });
        Assert.IsType<CheckInAnswer>(Read(_agent, await CheckInAsync(_agent)));
    }

    [Fact]
    public async Task Another_agent_s_answer_is_signed_and_names_the_other()
    {
        var other = await CheckInAsync(await _server.ActiveAsync(agentId: "pos-002"));
        _faults.Add(new ServerFault { Match = AgentPaths.CheckIn, Malice = ServerMalice.CrossAgent });
        Assert.Equal(other.Body, (await CheckInAsync(_agent)).Body);
    }

    [Fact]
    public async Task While_there_is_no_other_agent_the_answer_is_signed_for_one()
    {
        _faults.Add(new ServerFault { Match = AgentPaths.CheckIn, Malice = ServerMalice.CrossAgent });
        var answer = Read(_agent, await CheckInAsync(_agent));
        Assert.Equal("another", answer.AgentId);
    }

    [Fact]
    public async Task An_unsigned_answer_says_the_same_in_clear()
    {
        _faults.Add(new ServerFault { Match = "*", Malice = ServerMalice.Unsigned });
        var request = _agent.CheckInRequest();
        var said = JsonNode.Parse((await PostAsync(_agent, request)).Body)!;
        Assert.Equal(request.Nonce.ToString(), (string?)said["nonce"]);
        Assert.Equal(_agent.AgentId, (string?)said["agent_id"]);
    }

    [Fact]
    public async Task Of_a_flipped_answer_one_bit_is_another()
    {
        _faults.Add(new ServerFault { Match = "*", Malice = ServerMalice.Flipped });
        _faults.Add(new ServerFault { Match = "*", Malice = ServerMalice.Replay, Occurrence = 2 });
        byte[] flipped = (await CheckInAsync(_agent)).Body;
        byte[] original = (await CheckInAsync(_agent)).Body;
        Assert.Equal(original.Length, flipped.Length);
        var (was, became) = Assert.Single(original.Zip(flipped), pair => pair.First != pair.Second);
        Assert.Equal(1, was ^ became);
    }

    [Fact]
    public async Task A_fault_that_is_told_again_flips_the_same_bits_again_and_each_time_another()
    {
        int[] first = [await FlippedAsync(), await FlippedAsync(turn: 2)];
        int[] again = [await FlippedAsync(), await FlippedAsync(turn: 2)];
        Assert.Equal(first, again);
        Assert.NotEqual(first[0], first[1]);
    }

    [Fact]
    public async Task A_huge_answer_is_a_byte_more_than_an_agent_reads()
    {
        _faults.Add(new ServerFault { Match = "*", Malice = ServerMalice.Huge });
        Assert.Equal(
            AgentApiLimits.AnswerBytes + 1, (await CheckInAsync(_agent)).Body.Length);
    }

    [Fact]
    public async Task A_downgrade_is_signed_and_the_server_keeps_the_true_version()
    {
        _faults.Add(new ServerFault { Match = AgentActions.RotateSecret, Malice = ServerMalice.Downgrade });
        var answer = Read(_agent, await PostAsync(_agent, _agent.RotateRequest()), AgentActions.RotateSecret);
        Assert.Equal(0, Assert.IsType<RotateSecretAnswer>(answer).SecretVersion);
        Assert.Equal("AP", _server.States());
    }

    [Fact]
    public async Task A_storm_of_revocations_is_signed_and_longer_than_a_list_may_be()
    {
        _faults.Add(new ServerFault { Match = "*", Malice = ServerMalice.RevokeStorm });
        var answer = await CheckInAsync(_agent);
        var jws = CompactJws.Parse(answer.Body, JoseTypes.ServerResponse, int.MaxValue);
        Assert.True(jws.IsSignedBy(_server.App.Store.CurrentKeyset().Keyset.Find(jws.Kid, "response")!, Es256.Verify));
        var list = JsonNode.Parse(jws.Payload)!["revocations"]!["license_ids"]!.AsArray();
        Assert.True(list.Count > AgentApiLimits.RevokedLicenses, $"{list.Count} can be kept");
    }

    [Fact]
    public async Task What_is_dropped_on_its_way_in_the_server_never_saw()
    {
        var fault = _faults.Add(new ServerFault { Match = AgentActions.RotateSecret, Drop = true });
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => PostAsync(_agent, _agent.RotateRequest()));
        Assert.True(fault.Reached.IsCompletedSuccessfully);
        Assert.Equal("A", _server.States());
    }

    [Fact]
    public async Task What_is_dropped_on_its_way_out_the_server_has_done()
    {
        _faults.Add(new ServerFault { Match = AgentActions.RotateSecret, Drop = true, AfterCommit = true });
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => PostAsync(_agent, _agent.RotateRequest()));
        Assert.Equal("AP", _server.States());
    }

    [Theory]
    [InlineData(false, "A")]
    [InlineData(true, "AP")]
    public async Task A_status_stands_in_for_the_answer_before_or_after_the_work(bool afterCommit, string states)
    {
        _faults.Add(new ServerFault { Match = "*", Status = 502, Body = "<html>", AfterCommit = afterCommit });
        var answer = await PostAsync(_agent, _agent.RotateRequest());
        Assert.Equal((502, "<html>"), (answer.Status, Encoding.UTF8.GetString(answer.Body)));
        Assert.Equal(states, _server.States());
    }

    [Fact]
    public async Task A_fault_strikes_from_its_occurrence_on_as_often_as_it_says_and_what_it_names()
    {
        var fault = _faults.Add(new ServerFault { Match = AgentActions.CheckIn, Status = 503, Occurrence = 2, Times = 2 });
        List<int> seen = [];
        for (var i = 0; i < 5; i++) seen.Add((await CheckInAsync(_agent)).Status);
        await PostAsync(_agent, _agent.RotateRequest());
        Assert.Equal([200, 503, 503, 200, 200], seen);
        Assert.Equal(5, fault.Seen);
    }

    [Fact]
    public async Task Healed_it_answers_as_before()
    {
        _faults.Tell("""[{"match":"*","times":0,"status":503}]""");
        Assert.Equal(503, (await CheckInAsync(_agent)).Status);
        _faults.Tell("[]");
        Assert.Equal(200, (await CheckInAsync(_agent)).Status);
    }

    /// <returns>Where the answer to the request that is the fault's <paramref name="turn"/>th has another bit.</returns>
    private async Task<int> FlippedAsync(int turn = 1)
    {
        _faults.Tell($$"""[{"match":"*","occurrence":{{turn}},"malice":"flipped"},{"match":"*","occurrence":{{turn + 1}},"malice":"replay"}]""");
        for (var i = 1; i < turn; i++) await CheckInAsync(_agent);
        byte[] flipped = (await CheckInAsync(_agent)).Body;
        byte[] original = (await CheckInAsync(_agent)).Body;
        return Enumerable.Range(0, original.Length).Single(i => original[i] != flipped[i]);
    }

    private static ServerAnswer Read(TestAgent agent, WireAnswer answer, string action = AgentActions.CheckIn) =>
        agent.ReadAs(new AgentReply(answer.Status, answer.ContentType!, answer.Body), action);

    private Task<WireAnswer> CheckInAsync(TestAgent agent) => PostAsync(agent, agent.CheckInRequest());

    private Task<WireAnswer> PostAsync(TestAgent agent, AgentRequest request) =>
        _api.PostAsync(TestAgent.PathOf(request.Action), agent.Sign(request), agent.Certificate, Cancel);
}
