using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Checkers;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.Report;
using LicenseAgent.Sim.World.Server;
using LicenseAgent.SimTests.Checkers;
using Xunit;
using static LicenseAgent.SimTests.Checkers.Histories;

namespace LicenseAgent.SimTests;

/// <summary>What led to a finding, and nothing else.</summary>
public sealed class CausalSliceTests
{
    private static readonly Violation Finding = new("I05", 100 * Second, Till, "VALID under v3 7 s past its grace_until");

    [Fact]
    public void What_names_the_version_of_a_finding_is_in_its_slice_with_the_message_that_carried_it()
    {
        SliceLine[] slice = Slice(
        [
            new RequestLeft(10 * Second, Till, 7, "/rotate"),
            new Received(11 * Second, Till, "confirm-rotation", 3, "ok", "op-1"),
            new MessageEnded(12 * Second, Till, 7, MessageFate.AnswerLost, 11 * Second),
            new RequestLeft(20 * Second, Till, 8, "/check-in"),
            new Received(21 * Second, Till, "check-in", 3, "ok", "op-2"),
            new MessageEnded(22 * Second, Till, 8, MessageFate.Answered, 21 * Second),
            .. Quiet(20), Valid(100, 3),
        ]);

        Assert.Equal("v3", TieOf<Received>(slice, r => r.Operation == "op-1"));
        Assert.Equal("message 7", TieOf<RequestLeft>(slice, r => r.Message == 7));
        Assert.Equal("message 7", TieOf<MessageEnded>(slice, r => r.Message == 7));
        Assert.DoesNotContain(slice, l => l.What is RequestLeft { Message: 8 } or Received { Operation: "op-2" });
        Assert.Equal(0, slice.Single(l => l.What == Valid(100, 3)).Depth);
    }

    [Fact]
    public void A_repeated_operation_leads_to_its_first_try()
    {
        SliceLine[] slice = Slice(
        [
            new Received(1 * Second, Till, "rotate-secret", 0, "RATE_LIMITED", "op-1"),
            new Received(11 * Second, Till, "rotate-secret", 3, "ok", "op-1"),
            .. Quiet(20), Valid(100, 3),
        ]);
        Assert.Equal("operation op-1", TieOf<Received>(slice, r => r.Verdict == "RATE_LIMITED"));
    }

    [Fact]
    public void A_license_and_a_nonce_are_ties_and_another_version_s_are_none()
    {
        Nonce16 nonce = Nonce16.From([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
        SliceLine[] slice = Slice(
        [
            new Minted(1 * Second, Till, "lic-1", 2), new Minted(2 * Second, Till, "lic-2", 2),
            Valid(3, 2) with { License = "lic-9", Nonce = nonce },
            .. Quiet(20), Valid(100, 3) with { License = "lic-1", Nonce = nonce },
        ]);
        Assert.Equal("lic-1", TieOf<Minted>(slice, m => m.License == "lic-1"));
        Assert.Equal(nonce.ToString(), TieOf<Validated>(slice, v => v.License == "lic-9"));
        Assert.DoesNotContain(slice, l => l.What is Minted { License: "lic-2" });
    }

    [Fact]
    public void Faults_that_were_open_and_processes_between_are_in_it()
    {
        SliceLine[] slice = Slice(
        [
            new FaultBegan(1 * Second, "", 1, "server_down"), new FaultBegan(2 * Second, Till, 2, "kill"),
            new FaultEnded(3 * Second, Till, 2, "kill"), new Ended(4 * Second, Till, EndOf.Kill, "before"),
            new VersionChanged(5 * Second, Till, 3, VersionState.Active, SimServer.At(0)),
            new Ended(6 * Second, Till, EndOf.Kill, "between"),
            .. Quiet(20), Valid(100, 3),
        ]);
        Assert.Equal("open fault", TieOf<FaultBegan>(slice, f => f.Fault == 1));
        Assert.Equal("process", TieOf<Ended>(slice, e => e.Detail == "between"));
        Assert.DoesNotContain(slice, l => l.What is FaultBegan { Fault: 2 } or Ended { Detail: "before" });
    }

    [Fact]
    public void Validations_that_came_to_the_same_are_one_line()
    {
        SliceLine[] slice = Slice([.. Enumerable.Range(1, 50).Select(i => Valid(i, 3)), Valid(100, 3)]);
        Assert.Equal(2, slice.Length);
        Assert.Equal(49, slice[0].More);
    }

    [Fact]
    public void Of_very_much_that_is_tied_the_nearest_is_kept_and_the_rest_counted()
    {
        Happening[] much =
        [
            .. Enumerable.Range(1, 3_000).Select(i => new ConfirmLeft(i * 1_000, Till, 3, true, true, true)),
            Valid(100, 3),
        ];
        CausalSlice slice = CausalSlice.Of(Run(much), Finding);
        Assert.InRange(slice.Lines.Count, 50, 150);
        Assert.True(slice.LeftOut > 100);
        Assert.Equal(3_000_000, slice.Lines[^2].What.AtUs);
    }

    [Fact]
    public void What_is_tied_closely_is_kept_before_what_only_lies_between()
    {
        CausalSlice slice = CausalSlice.Of(
            Run(
            [
                new VersionChanged(1_000, Till, 3, VersionState.Invalidated, SimServer.At(0)),
                .. Enumerable.Range(1, 1_000).Select(i => new Started(i * 10_000, Till, i, "")),
                Valid(100, 3),
            ]),
            Finding);
        Assert.IsType<VersionChanged>(slice.Lines[0].What);
        Assert.True(slice.LeftOut > 800);
    }

    [Fact]
    public void Another_till_has_no_part_in_it()
    {
        SliceLine[] slice = Slice(
        [
            new VersionChanged(5 * Second, "till-0002", 3, VersionState.Active, SimServer.At(0)), .. Quiet(3), Valid(100, 3),
        ]);
        Assert.DoesNotContain(slice, l => l.What.Node == "till-0002");
    }

    private static Validated Valid(long atS, long version) => new(
        atS * Second, Till, 1000, default, "lic-1", version, 200, "VALID", "NORMAL", AuditedFirst: true);

    /// <summary>What happens all the time and means nothing.</summary>
    private static IEnumerable<Happening> Quiet(int count) => Enumerable.Range(0, count)
        .Select(i => new OddCall((50 + i) * Second, Till, "garbage", "", 400));

    private static string TieOf<T>(SliceLine[] slice, Func<T, bool> which)
        where T : Happening => slice.Single(l => l.What is T t && which(t)).Tie;

    private static SliceLine[] Slice(params Happening[] history) => [.. CausalSlice.Of(Run(history), Finding).Lines];

    private static RunOutcome Run(Happening[] history) =>
        new(Plan(), [Finding], history, new TraceHash(), 1, 1, Escape: null);
}
