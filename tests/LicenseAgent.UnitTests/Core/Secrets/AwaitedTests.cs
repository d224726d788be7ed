using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using Xunit;

namespace LicenseAgent.UnitTests.Core;

/// <summary>
/// What a start has not read yet (I04). It began as a token under GRACE that was called SECRET_INVALIDATED in the
/// moment between the first secret in memory and the others.
/// </summary>
public sealed class AwaitedTests
{
    private static readonly UtcTime End = Given.Start + TimeSpan.FromHours(2);
    private static readonly BoundState Bound = Given.Bound(Given.Grace(1, End), Given.Active(2));

    [Fact]
    public void Between_ACTIVE_and_the_rest_the_rest_is_awaited()
    {
        CoreDriver till = Started(Given.Run(Bound) with { Highest = 3, Pending = Given.Pending(3, confirmSent: true) });
        till.Step(new AgentEvent.SecretsLoaded([2], []));
        Assert.Equal([2], Views.Usable(till.State).Select(u => u.Entry.Version));
        Assert.Equal([1, 3], Awaited(till));
    }

    [Fact]
    public void Each_is_awaited_until_its_own_end() =>
        Assert.Equal(End, Views.Awaited(Started().State).Single(u => u.Entry.Version == 1).End);

    [Fact]
    public void The_newest_is_opened_first_and_serves_while_the_next_is_read()
    {
        BoundState bound = Given.Bound(Given.Grace(1, End), Given.Grace(2, End), Given.Active(3));
        CoreDriver till = new();
        till.Load(bound);
        till.Step(new AgentEvent.SecretsLoaded([3], [])).Step(new AgentEvent.SecretsLoaded([2], []));
        Assert.Equal([2, 3], Views.Usable(till.State).Select(u => u.Entry.Version));
        Assert.Equal([1], till.Under<Activity.LoadingSecrets>().Entries.Select(e => e.Version));
    }

    [Fact]
    public void With_all_of_them_in_memory_none_is_awaited()
    {
        CoreDriver till = Started();
        till.Settle();
        Assert.Empty(Awaited(till));
    }

    [Fact]
    public void One_that_cannot_be_read_is_not_awaited()
    {
        CoreDriver till = Started();
        till.Step(new AgentEvent.SecretsLoaded([2], [])).Step(new AgentEvent.SecretsLoaded([], [1]));
        Assert.Empty(Awaited(till));
    }

    [Fact]
    public void One_taken_out_of_use_is_not_awaited()
    {
        CoreDriver till = Started();
        till.Step(new AgentEvent.InvalidateAsked(1, 1, Force: true));
        Assert.Equal([2], Awaited(till));
    }

    [Fact]
    public void One_retired_before_it_was_read_is_not_awaited()
    {
        CoreDriver till = Started();
        till.Step(new AgentEvent.SecretsLoaded([2], [])).After(TimeSpan.FromHours(3));
        Assert.Empty(Awaited(till));
    }

    [Fact]
    public void A_TPM_lost_in_between_leaves_the_rest_awaited()
    {
        CoreDriver till = Started();
        till.Step(new AgentEvent.SecretsLoaded([2], []));
        till.Step(new AgentEvent.TpmFailed(TpmHealth.Unavailable, "gone"));
        Assert.Equal([1], Awaited(till));
    }

    [Fact]
    public void While_software_keys_serve_for_a_lost_TPM_its_versions_are_not_awaited()
    {
        CoreDriver till = Started();
        till.Step(new AgentEvent.TpmFailed(TpmHealth.Unavailable, "gone"));
        till.State = till.State with
        {
            Software = SoftwareBook.Empty with { Secrets = [Given.Active(5)] },
            Loaded = till.State.Loaded.Add(5),
        };
        Assert.Empty(Awaited(till));
    }

    private static CoreDriver Started(RunState? run = null)
    {
        CoreDriver till = new();
        till.Load(Bound, run);
        return till;
    }

    private static IEnumerable<long> Awaited(CoreDriver till) =>
        Views.Awaited(till.State).Select(u => u.Entry.Version).Order();
}
