using LicenseAgent.Sim.Checkers;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;
using Xunit;
using static LicenseAgent.SimTests.Checkers.Histories;

namespace LicenseAgent.SimTests.Checkers;

/// <summary>The checkers of what a till shows to its users, its server and its TPM.</summary>
public sealed class SurfaceCheckerTests
{
    [Fact]
    public void I16_a_signed_answer_that_is_no_contact_is_found()
    {
        Assert.Empty(Found<RefusalsAreContact>(new AnswerJudged(1, Till, "None", 5, 6)));
        Assert.Single(Found<RefusalsAreContact>(new AnswerJudged(1, Till, "None", 5, 5)));
        Assert.Empty(Found<RefusalsAreContact>(new AnswerJudged(1, Till, "Unsigned", 5, 5)));
    }

    [Fact]
    public void I16_a_suspension_that_the_server_never_spoke_of_is_found()
    {
        Seen suspended = Shown(5, 1) with { Mode = "LOCKED", Lock = "suspended" };
        Assert.Single(Found<RefusalsAreContact>(suspended));
        Assert.Empty(Found<RefusalsAreContact>(new Ordered(1, Till, OrderKinds.Suspend, "server"), suspended));
    }

    [Fact]
    public void I16_a_revocation_that_the_server_never_spoke_of_is_found()
    {
        Assert.Single(Found<RefusalsAreContact>(Answer(2, "REVOKED")));
        Assert.Empty(Found<RefusalsAreContact>(new Revoked(1, Till, "lic", 1), Answer(2, "REVOKED")));
    }

    [Theory]
    [InlineData("stranger")]
    [InlineData("viewer")]
    public void I22_an_answer_to_somebody_without_a_right_to_it_is_found(string kind)
    {
        Assert.Empty(Found<OnlyListedPeers>(new OddCall(1, Till, kind, "/v1/rotate", 403)));
        Assert.Single(Found<OnlyListedPeers>(new OddCall(1, Till, kind, "/v1/rotate", 200)));
    }

    [Fact]
    public void I23_nonsense_that_is_taken_for_a_call_is_found()
    {
        Assert.Empty(Found<NonsenseIsRefused>(new OddCall(1, Till, "garbage", "/v1/validate-license", 400)));
        Assert.Single(Found<NonsenseIsRefused>(new OddCall(1, Till, "garbage", "/v1/validate-license", 200)));
        Assert.Single(Found<NonsenseIsRefused>(new OddCall(1, Till, "garbage", "/v1/validate-license", 500)));
        Assert.Empty(Found<NonsenseIsRefused>(new OddCall(1, Till, "oversized", "/v1/rotate", 413)));
        Assert.Single(Found<NonsenseIsRefused>(new OddCall(1, Till, "oversized", "/v1/rotate", 400)));
    }

    [Fact]
    public void I26_a_wrong_auth_value_and_a_poller_are_found()
    {
        TpmUsed normal = new(24 * Hour, Till, 700, 0, 1);
        Assert.Empty(Found<TpmUseIsBounded>(normal));
        Assert.Single(Found<TpmUseIsBounded>(normal with { AuthFailures = 1 }));
        Assert.Single(Found<TpmUseIsBounded>(normal with { Commands = 24 * 3_600 }));
    }

    [Fact]
    public void I28_a_program_that_runs_on_newer_files_or_changes_them_is_found()
    {
        Assert.Empty(Found<NewerFilesAreLeft>(new NewerFormatLeft(1, Till, true, true)));
        Assert.Single(Found<NewerFilesAreLeft>(new NewerFormatLeft(1, Till, false, true)));
        Assert.Single(Found<NewerFilesAreLeft>(new NewerFormatLeft(1, Till, true, false)));
    }

    [Fact]
    public void I17_a_license_that_is_valid_at_a_till_that_heard_of_its_suspension_is_found()
    {
        Happening[] heard = [new Reported(1, Till, "NORMAL", "", 0, 0, true, 1), new AnswerJudged(2, Till, "None", 1, 2)];
        Assert.Single(Found<OrdersAreKept>([.. heard, Answer(3, "VALID")]));
        Assert.Empty(Found<OrdersAreKept>([heard[0], Answer(3, "VALID")]));
        Assert.Empty(Found<OrdersAreKept>([.. heard, new Ordered(3, Till, OrderKinds.Resume, "server"), Answer(4, "VALID")]));
    }

    [Fact]
    public void I25_a_fleet_that_comes_back_in_step_is_found()
    {
        Plan fleet = new(1, 1, "test", 900, 1, new Knobs(), [], []);
        FaultEnded over = new(Hour, "", 1, FaultKinds.ServerDown);
        Assert.Empty(Judge(fleet, [over, .. Received(900, apartUs: Second)]));
        Assert.Single(Judge(fleet, [over, .. Received(900, apartUs: Second / 20)]));
    }

    private static Violation[] Judge(Plan plan, Happening[] history) =>
        [.. new LoadAfterOutage().Check(new RunRecord(plan, history, []))];

    private static IEnumerable<Happening> Received(int count, long apartUs) => Enumerable.Range(0, count)
        .Select(i => new Received(Hour + (i * apartUs), Till, "check-in", 1, "ok"));

    [Fact]
    public void I01_a_secret_in_clear_is_found()
    {
        LookedForSecrets looked = new(1, Till, 100, 3);
        Assert.Empty(Found<NoSecretInClear>(looked));
        Assert.Single(Found<NoSecretInClear>(new SecretInClear(1, Till, "log line", 3), looked));
    }

    [Fact]
    public void I10_software_keys_that_nobody_allowed_are_found()
    {
        Reported reported = new(1, Till, "NORMAL", "", 0, 0, false, 1);
        Assert.Empty(Found<NoWeakerProtection>(reported));
        Assert.Single(Found<NoWeakerProtection>(reported with { Protection = "software" }));
    }
}
