using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core.Model;

/// <summary>
/// I14 with <c>state.json</c> in play: the server has shortened grace, and the till's owner has files from before that,
/// which he puts back alone and in pairs, between power cuts with the clock battery out, sleeps, and everything else.
/// </summary>
public sealed class FilesPutBackTests
{
    private const int Depth = 4;

    private static readonly UtcTime Limit = Given.Start + TimeSpan.FromDays(2);
    private static readonly UtcTime Nineteen70 = Given.Time("1970-01-01T00:00:00.000Z");

    private readonly BoundState _olderState;
    private readonly RunState _olderRun;
    private readonly HostileTill _till;
    private readonly (string Name, Action<HostileTill> Do)[] _moves;

    public FilesPutBackTests()
    {
        _till = new HostileTill(Given.Bound(Given.Active(1) with
        {
            ValidUntil = Given.Start + TimeSpan.FromDays(3),
            GraceUntil = Given.Start + TimeSpan.FromDays(10),
        }));
        (_olderState, _olderRun) = (_till.OnDisk!, _till.Run!);
        _till.Contact(new LimitGraceDirective(Limit));
        _moves =
        [
            ("run 13 h", till => till.RunFor(TimeSpan.FromHours(13))),
            ("cut", till => Cut(till, till.Run, till.OnDisk)),
            ("run.json put back", till => Cut(till, _olderRun, till.OnDisk)),
            ("state.json put back", till => Cut(till, till.Run, _olderState)),
            ("both put back", till => Cut(till, _olderRun, _olderState)),
            ("state.json deleted", till => Cut(till, till.Run, null)),
            ("both deleted", till => Cut(till, null, null)),
            ("asleep for 30 h", till => till.Sleep(TimeSpan.FromHours(30))),
        ];
    }

    [Fact]
    public void The_limit_is_bound_before_the_check_in_counts() =>
        Assert.NotEqual(_olderState.Generation, _till.Bound.Generation);

    [Fact]
    public void I14_no_files_put_back_lengthen_grace_and_contact_heals_all_of_it()
    {
        int served = 0, refused = 0;
        Explore(_till, [], ref served, ref refused);
        Assert.True(served > 100 && refused > 1_000, $"{served} serve, {refused} do not.");
    }

    [Fact]
    public void I14_the_older_pair_put_back_at_every_cut_every_59_minutes_gains_nothing()
    {
        while (_till.Mode is not AgentMode.Exhausted)
        {
            _till.RunFor(TimeSpan.FromMinutes(59));
            Cut(_till, _olderRun, _till.OnDisk);
            Assert.True(_till.RanMs < TimeSpan.FromDays(2).TotalMilliseconds, "Grace was stretched.");
        }
    }

    private void Explore(HostileTill till, string[] path, ref int served, ref int refused)
    {
        UtcTime? until = Views.Facts(till.State).UsableUntil(till.TrustedNow);
        string name = string.Join(", ", path);
        Assert.True(until is null || until <= Limit, $"{name}: usable until {until}.");
        Assert.True(
            until is null || till.TrustedNow.UnixMs - till.Contacted.UnixMs >= till.RanMs,
            $"{name}: ran {TimeSpan.FromMilliseconds(till.RanMs)}, counted {till.TrustedNow - till.Contacted}.");
        if (path.Length == Depth)
        {
            (served, refused) = until is null ? (served, refused + 1) : (served + 1, refused);
            HostileTill healed = till.Copy();
            healed.WallError = TimeSpan.Zero;
            healed.Contact();
            Assert.True(healed.Mode is AgentMode.Normal, $"I15: {name}: {healed.Mode}");
            return;
        }

        foreach ((string move, Action<HostileTill> make) in _moves)
        {
            HostileTill next = till.Copy();
            make(next);
            Explore(next, [.. path, move], ref served, ref refused);
        }
    }

    private static void Cut(HostileTill till, RunState? run, BoundState? state)
    {
        till.WallError = Nineteen70 - till.Real;
        till.Cut(TimeSpan.FromMinutes(1), run, state);
    }
}
