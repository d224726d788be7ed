using System.Text;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.ContractTests.Contracts;

/// <summary>What goes wrong on the way to the license server, or is wrong with it.</summary>
public enum WayFault
{
    None,

    /// <summary>Nobody listens there.</summary>
    Refused,

    /// <summary>What the agent sends is lost.</summary>
    RequestLost,

    /// <summary>The server has done its work, and what it sends is lost.</summary>
    AnswerLost,

    /// <summary>The server has done its work, and the connection ends in the middle of the answer.</summary>
    AnswerCut,

    /// <summary>Somebody on the way answers with a page of his own.</summary>
    Portal,

    /// <summary>The server shows a key that is not pinned.</summary>
    AnotherKey,
}

/// <summary>An agent's port onto the network, a way that can be bad, and a license server behind it.</summary>
internal abstract class UpstreamBench : IAsyncDisposable
{
    /// <summary>The server has done what a request asked for; what is lost afterwards does not take it back.</summary>
    public abstract bool HasEnrolled { get; }

    /// <summary>From now on.</summary>
    public abstract Task SetAsync(WayFault fault);

    /// <summary>
    /// Sends the till's enrolment, signed, to which the server answers once with yes. Where no answer comes, its deadline
    /// passes.
    /// </summary>
    /// <param name="cancels">The agent ends it while the server is at it.</param>
    public abstract Task<UpstreamAnswer> EnrolAsync(bool cancels = false);

    /// <summary>Asks for the server's keys, which needs no signature.</summary>
    public abstract Task<UpstreamAnswer> FetchKeysetAsync();

    public abstract ValueTask DisposeAsync();
}

/// <summary>
/// What the agent relies on of its way to the server. The real one, over TLS, a network that is told its faults and the
/// license server, and the simulated one keep it alike.
/// </summary>
public abstract class UpstreamContract
{
    [Fact]
    public async Task An_answer_arrives_as_the_server_signed_it()
    {
        await using UpstreamBench way = await StartAsync();
        UpstreamAnswer answer = await way.EnrolAsync();
        Assert.Equal((200, null), (answer.Status, answer.RetryAfter));
        Assert.True(IsSigned(answer));
        Assert.True(way.HasEnrolled);
    }

    [Fact]
    public async Task A_refusal_is_an_answer_as_well()
    {
        await using UpstreamBench way = await StartAsync();
        await way.EnrolAsync();
        UpstreamAnswer refusal = await way.EnrolAsync();
        Assert.NotEqual(200, refusal.Status);
        Assert.True(IsSigned(refusal));
    }

    [Fact]
    public async Task Keysets_are_fetched_without_a_signature()
    {
        await using UpstreamBench way = await StartAsync();
        UpstreamAnswer answer = await way.FetchKeysetAsync();
        Assert.Equal(200, answer.Status);
        Assert.StartsWith("[{", Encoding.UTF8.GetString(answer.Body), StringComparison.Ordinal);
    }

    /// <summary>Each is no contact, may be tried again, and has the same reason on either.</summary>
    [Theory]
    [InlineData(WayFault.Refused, "refused", false)]
    [InlineData(WayFault.RequestLost, "timeout", false)]
    [InlineData(WayFault.AnswerLost, "timeout", true)]
    [InlineData(WayFault.AnswerCut, "incomplete", true)]
    [InlineData(WayFault.AnotherKey, "tls_pin", false)]
    public async Task Without_a_complete_answer_there_is_no_contact(WayFault fault, string reason, bool done)
    {
        await using UpstreamBench way = await StartAsync();
        await way.SetAsync(fault);
        NoContactException none = await Assert.ThrowsAsync<NoContactException>(() => way.EnrolAsync());
        Assert.True(reason == none.Reason, $"{none.Reason}: {none.Message}");
        Assert.Equal((true, null), (none.Retryable, none.RetryAfter));
        Assert.Equal(done, way.HasEnrolled);
    }

    [Fact]
    public async Task A_page_of_somebody_on_the_way_is_an_answer_that_nobody_signed()
    {
        await using UpstreamBench way = await StartAsync();
        await way.SetAsync(WayFault.Portal);
        UpstreamAnswer page = await way.EnrolAsync();
        Assert.Equal(200, page.Status);
        Assert.False(IsSigned(page));
        Assert.False(way.HasEnrolled);
    }

    [Fact]
    public async Task What_the_agent_ends_is_cancelled_and_no_fault_of_the_server()
    {
        await using UpstreamBench way = await StartAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => way.EnrolAsync(cancels: true));
        Assert.True(way.HasEnrolled);
    }

    [Theory]
    [InlineData(WayFault.RequestLost)]
    [InlineData(WayFault.Portal)]
    public async Task A_way_that_is_good_again_serves(WayFault fault)
    {
        await using UpstreamBench way = await StartAsync();
        await way.SetAsync(fault);
        await Record.ExceptionAsync(() => way.EnrolAsync());
        await way.SetAsync(WayFault.None);
        Assert.Equal(200, (await way.EnrolAsync()).Status);
        Assert.True(way.HasEnrolled);
    }

    /// <summary>A good way.</summary>
    private protected abstract Task<UpstreamBench> StartAsync();

    private static bool IsSigned(UpstreamAnswer answer) => CompactJws.TryParse(
        answer.Body, JoseTypes.ServerResponse, AgentApiLimits.AnswerBytes, out _);
}
