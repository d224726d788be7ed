using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Sim.Checkers;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World;
using LicenseAgent.Sim.World.Server;
using Xunit;
using static LicenseAgent.SimTests.Checkers.Histories;

namespace LicenseAgent.SimTests.Checkers;

/// <summary>Each checker on a history that is right and on one that is not.</summary>
public sealed class CheckerTests
{
    [Fact]
    public void I00_a_process_that_ends_by_itself_is_found()
    {
        Assert.Empty(Found<NoCrash>(new Ended(1, Till, EndOf.Kill, "")));
        Assert.Single(Found<NoCrash>(new Ended(1, Till, EndOf.Crash, "InvariantBroken")));
    }

    [Fact]
    public void I02_a_refusal_for_want_of_a_secret_within_grace_is_found()
    {
        Happening[] before = [new Started(0, Till, 1, "b"), Active(Hour, 1, graceHours: 100)];
        Assert.Empty(Found<AlwaysUsable>([.. before, Answer(2 * Hour, "VALID")]));
        Assert.Single(Found<AlwaysUsable>([.. before, Answer(2 * Hour, "NO_SECRET")]));
        Assert.Empty(Found<AlwaysUsable>([.. before, Answer(200 * Hour, "GRACE_EXHAUSTED")]));
    }

    [Fact]
    public void I02_a_clock_that_runs_fast_ends_grace_early_by_no_more_than_that()
    {
        // 500 ppm of 99 hours are 178 s.
        Happening[] before = [new Started(0, Till, 1, "b"), Active(Hour, 1, graceHours: 100)];
        Plan fast = Plan() with { Knobs = new Knobs(DriftPpm: 500) };
        Violation[] At(long second) => [.. new AlwaysUsable().Check(new RunRecord(
            fast, [.. before, Answer((100 * Hour) - (second * Second), "GRACE_EXHAUSTED")], []))];
        Assert.Empty(At(200));
        Assert.Single(At(300));
    }

    /// <summary>
    /// Books that are behind give grace to a version: to one that the till has given up it is none, and of another it
    /// hears of what it had before at most. Swarm seeds 672 and 1044.
    /// </summary>
    [Fact]
    public void I02_what_a_server_that_is_behind_gives_is_owed_by_no_till()
    {
        VersionChanged Grace(long at, int hours) => Active(at, 1, hours) with { State = VersionState.Grace };
        Happening[] rotated =
        [
            new Started(0, Till, 1, "b"), Active(Hour, 1, graceHours: 100), Active(2 * Hour, 2, graceHours: 200),
            Grace(2 * Hour, 90),
        ];
        Happening[] filesGone =
        [
            new FaultBegan(2 * Hour, Till, 1, FaultKinds.RunRemoved),
            new FaultEnded(2 * Hour, Till, 1, FaultKinds.RunRemoved), new Started(2 * Hour, Till, 2, "c"),
        ];
        Happening[] Behind(Happening given) =>
        [
            new FaultBegan(3 * Hour, "", 2, FaultKinds.ServerStale), given,
            new FaultEnded(5 * Hour, "", 2, FaultKinds.ServerStale), Active(6 * Hour, 3, graceHours: 300),
            new Reported(7 * Hour, Till, "NORMAL", "", 0, 0, false, 3), new AnswerJudged(7 * Hour, Till, "None", 1, 2),
            Shown(7 * Hour, active: 3),
        ];
        Violation[] Refused(long hour, params Happening[] history) =>
            Found<AlwaysUsable>([.. history, Answer(hour * Hour, "SECRET_INVALIDATED")]);
        Assert.Single(Refused(80, [.. rotated, .. Behind(Shown(4 * Hour, 2))]));
        Assert.Single(Refused(80, [.. rotated, .. Behind(Grace(4 * Hour, 150))]));
        Assert.Empty(Refused(95, [.. rotated, .. Behind(Grace(4 * Hour, 150))]));
        Assert.Empty(Refused(80, [.. rotated, .. Behind(Grace(4 * Hour, 70))]));
        Assert.Empty(Refused(80, [.. rotated, .. filesGone, .. Behind(Grace(4 * Hour, 150))]));
    }

    [Fact]
    public void I03_two_active_are_found()
    {
        Assert.Empty(Found<OneActive>(Shown(1, active: 3)));
        Assert.Single(Found<OneActive>(Shown(1, active: 3) with { Actives = 2 }));
    }

    [Fact]
    public void I04_valid_invalid_valid_is_found()
    {
        Assert.Empty(Found<NoFlapping>(Answer(1, "VALID"), Answer(2, "VALID"), Answer(3, "SECRET_INVALIDATED")));
        Assert.Single(Found<NoFlapping>(Answer(1, "VALID"), Answer(2, "SECRET_INVALIDATED"), Answer(3, "VALID")));
    }

    [Fact]
    public void I05_what_a_server_gives_up_says_nothing_of_the_end_that_a_replica_told()
    {
        VersionChanged burned = Active(2, 1, graceHours: 1) with { State = VersionState.Burned };
        Assert.Empty(Found<NothingPastItsEnd>(Active(1, 1, graceHours: 4), burned, Answer(3 * Hour, "VALID")));
        Assert.Single(Found<NothingPastItsEnd>(Active(1, 1, graceHours: 4), burned, Answer(5 * Hour, "VALID")));
    }

    [Fact]
    public void I05_valid_past_grace_until_is_found_and_time_switched_off_is_allowed_for()
    {
        Happening grace = Active(Hour, 1, graceHours: 10);
        Assert.Empty(Found<NothingPastItsEnd>(grace, Answer(9 * Hour, "VALID")));
        Assert.Single(Found<NothingPastItsEnd>(grace, Answer(12 * Hour, "VALID")));
        Assert.Empty(Found<NothingPastItsEnd>(
            grace, new Ended(2 * Hour, Till, EndOf.PowerCut, ""), new Started(5 * Hour, Till, 2, "c"),
            Answer(12 * Hour, "VALID")));
    }

    [Fact]
    public void I05_a_boot_of_which_no_process_had_its_state_is_as_good_as_off()
    {
        Ended cut = new(2 * Hour, Till, EndOf.PowerCut, "");
        Happening[] boot =
        [
            Active(Hour, 1, graceHours: 10), cut, new Started(2 * Hour, Till, 2, "b"),
            new Ended(2 * Hour, Till, EndOf.Stop, "io_error"), new Started((2 * Hour) + 5, Till, 3, "b"),
        ];
        Happening[] next = [cut with { AtUs = 5 * Hour }, new Started(5 * Hour, Till, 4, "c"), Answer(12 * Hour, "VALID")];
        Assert.Empty(Found<NothingPastItsEnd>([.. boot, .. next]));
        Assert.Single(Found<NothingPastItsEnd>([.. boot, Shown(3 * Hour, active: 1), .. next]));
    }

    [Fact]
    public void I06_an_active_version_that_goes_down_is_found_unless_locked()
    {
        Assert.Empty(Found<VersionsNeverGoDown>(Shown(1, active: 3), Shown(2, active: 4)));
        Assert.Single(Found<VersionsNeverGoDown>(Shown(1, active: 4), Shown(2, active: 3)));
        Assert.Empty(Found<VersionsNeverGoDown>(Shown(1, active: 4), Shown(2, active: 3) with { Mode = "LOCKED" }));
    }

    [Fact]
    public void I06_an_active_version_that_goes_down_with_files_and_TPM_put_back_together_is_not_the_tills_fault()
    {
        FaultBegan files = new(2, Till, 1, FaultKinds.DiskRestored);
        FaultBegan tpm = new(3, Till, 2, FaultKinds.TpmRolledBack);
        Seen locked = Shown(3, active: 0) with { Mode = "LOCKED" };
        Assert.Empty(Found<VersionsNeverGoDown>(Shown(1, 5), files, locked, tpm, Shown(4, 3), Shown(5, 4)));
        Assert.Empty(Found<VersionsNeverGoDown>(Shown(1, 5), tpm, locked, files, Shown(4, 3)));

        // One of them alone, both with service in between, and what goes down after that.
        Assert.Single(Found<VersionsNeverGoDown>(Shown(1, 5), files, Shown(4, 3)));
        Assert.Single(Found<VersionsNeverGoDown>(Shown(1, 5), tpm, Shown(4, 3)));
        Assert.Single(Found<VersionsNeverGoDown>(Shown(1, 5), files, Shown(3, 5), tpm, Shown(4, 3)));
        Assert.Single(Found<VersionsNeverGoDown>(Shown(1, 5), files, tpm, Shown(4, 3), Shown(5, 2)));
    }

    [Fact]
    public void I06_numbers_that_neither_files_nor_server_remember_at_a_new_enrolment_are_not_the_tills_fault()
    {
        FaultBegan files = new(2, Till, 1, FaultKinds.DiskRestored);
        FaultBegan server = new(3, "", 2, FaultKinds.ServerRestored);
        Ordered anew = new(4, Till, "enroll --replace", "200");
        Received told = new(3, Till, "rotate-secret", 5, "ok", "r1");
        Assert.Empty(Found<VersionsNeverGoDown>(Shown(1, 5), files, server, anew, told, Shown(6, 3), Shown(7, 4)));
        Assert.Empty(Found<VersionsNeverGoDown>(Shown(1, 5), server, files, anew, Shown(6, 3)));

        // No enrolment, one of them alone, a server that was told of the number since, and what goes down after that.
        Assert.Single(Found<VersionsNeverGoDown>(Shown(1, 5), files, server, Shown(6, 3)));
        Assert.Single(Found<VersionsNeverGoDown>(Shown(1, 5), files, anew, Shown(6, 3)));
        Assert.Single(Found<VersionsNeverGoDown>(Shown(1, 5), server, anew, Shown(6, 3)));
        Assert.Single(Found<VersionsNeverGoDown>(Shown(1, 5), server, told, files, anew, Shown(6, 3)));
        Assert.Single(Found<VersionsNeverGoDown>(Shown(1, 5), files, server, anew, Shown(6, 3), Shown(7, 2)));
    }

    [Fact]
    public void I07_a_state_lost_by_a_crash_alone_is_found()
    {
        Seen locked = Shown(2, active: 0) with { Mode = "LOCKED", Lock = "state_rollback" };
        Assert.Single(Found<CrashesLeaveAState>(locked));
        Assert.Empty(Found<CrashesLeaveAState>(new FaultBegan(1, Till, 1, FaultKinds.DiskRestored), locked));
    }

    [Fact]
    public void I08_a_confirm_before_its_secret_is_durable_is_found()
    {
        Assert.Empty(Found<ConfirmAfterDurable>(new ConfirmLeft(1, Till, 2, true, true, true)));
        Assert.Single(Found<ConfirmAfterDurable>(new ConfirmLeft(1, Till, 2, false, true, true)));
        Assert.Single(Found<ConfirmAfterDurable>(new ConfirmLeft(1, Till, 2, true, false, true)));
    }

    [Fact]
    public void I20_a_confirm_before_its_staging_is_durably_on_record_is_found()
    {
        ConfirmLeft early = new(2, Till, 2, true, true, RecordDurable: false);
        Assert.Empty(Found<TransitionsRecorded>(early with { RecordDurable = true }));
        Assert.Single(Found<TransitionsRecorded>(early));
        Assert.Empty(Found<TransitionsRecorded>(new FaultBegan(1, Till, 1, FaultKinds.AuditTailCut), early));
    }

    [Fact]
    public void I09_a_forged_answer_that_counts_as_contact_is_found()
    {
        Assert.Empty(Found<ForgedChangesNothing>(new AnswerJudged(1, Till, "Replayed", 5, 5)));
        Assert.Empty(Found<ForgedChangesNothing>(new AnswerJudged(1, Till, "None", 5, 6)));
        Assert.Single(Found<ForgedChangesNothing>(new AnswerJudged(1, Till, "Replayed", 5, 6)));
    }

    [Fact]
    public void I11_a_nonce_accepted_twice_is_found_unless_the_power_was_cut_right_after()
    {
        Assert.Single(Found<NonceOnce>(Answer(Second, "VALID"), Answer(2 * Second, "VALID")));
        Assert.Empty(Found<NonceOnce>(Answer(Second, "VALID"), Answer(1_000 * Second, "VALID")));
        Assert.Empty(Found<NonceOnce>(
            Answer(Second, "VALID"), new Ended(Second + 90_000, Till, EndOf.PowerCut, ""), Answer(2 * Second, "VALID")));
        Assert.Single(Found<NonceOnce>(
            Answer(Second, "VALID"), new Ended(Second + 90_000, Till, EndOf.Kill, ""), Answer(2 * Second, "VALID")));
    }

    [Fact]
    public void I12_an_answer_before_its_record_is_found()
    {
        Assert.Empty(Found<AuditedBeforeAnswer>(Answer(1, "VALID")));
        Assert.Single(Found<AuditedBeforeAnswer>(Answer(1, "VALID") with { AuditedFirst = false }));
    }

    [Fact]
    public void I14_trusted_now_behind_by_more_than_time_off_is_found()
    {
        AnswerJudged contact = new(Hour, Till, "None", 1, 2);
        Assert.Empty(Found<DegradedEnds>(contact, Shown(2 * Hour, 1)));
        Seen behind = Shown(5 * Hour, 1) with { TrustedMs = SimServer.At(3 * Hour).UnixMs };
        Assert.Single(Found<DegradedEnds>(contact, behind));
        Assert.Empty(Found<DegradedEnds>(
            contact, new Ended(2 * Hour, Till, EndOf.PowerCut, ""), new Started(4 * Hour, Till, 2, "c"), behind));
    }

    [Fact]
    public void I14_trusted_now_ahead_by_more_than_a_clock_may_lead_is_found()
    {
        AnswerJudged contact = new(Hour, Till, "None", 1, 2);
        Seen leads = Shown(5 * Hour, 1) with { TrustedMs = SimServer.At(45 * Hour).UnixMs };
        Assert.Empty(Found<DegradedEnds>(contact, leads));
        Assert.Single(Found<DegradedEnds>(contact, leads with { TrustedMs = SimServer.At(60 * Hour).UnixMs }));
    }

    [Fact]
    public void I15_a_till_that_does_not_come_back_is_found()
    {
        Healed healed = new(Hour, "all");
        Assert.Empty(Found<ComesBack>(Active(1, 3, 100), healed, Shown(2 * Hour, active: 3)));
        Assert.Single(Found<ComesBack>(Active(1, 3, 100), healed, Shown(2 * Hour, active: 3) with { Mode = "OFFLINE" }));
        Assert.Single(Found<ComesBack>(Active(1, 3, 100), healed));
        AskedAtEnd asked = new(3 * Hour, Till, "VALID");
        Assert.Empty(Found<ComesBack>(healed, Shown(2 * Hour, active: 3), asked));
        Assert.Single(Found<ComesBack>(healed, Shown(2 * Hour, active: 3), asked with { Reason = "NO_SECRET" }));
    }

    [Fact]
    public void L02_a_till_with_another_secret_than_the_server_is_found()
    {
        Healed healed = new(Hour, "all");
        Assert.Empty(Found<ViewsAgree>(Active(1, 3, 100), healed, Shown(2 * Hour, active: 3)));
        Assert.Single(Found<ViewsAgree>(Active(1, 4, 100), healed, Shown(2 * Hour, active: 3)));
        Happening late = Active(healed.AtUs + SimWorld.HealUs - 1, 4, 100);
        Assert.Empty(Found<ViewsAgree>(Active(1, 3, 100), healed, Shown(2 * Hour, active: 3), late));
    }

    [Fact]
    public void L03_timers_that_pile_up_are_found()
    {
        LeftOver left = new(1, Till, "", 20);
        Assert.Empty(Found<NothingPilesUp>(left));
        Assert.Single(Found<NothingPilesUp>(left with { Timers = 200 }));
    }

    [Fact]
    public void L04_a_till_that_does_not_come_back_beside_one_that_is_broken_for_good_is_found()
    {
        Plan plan = Plan() with
        {
            Tills = 2,
            Faults = [new PlannedFault(1, 1, 1, "till-0002", FaultKinds.TpmAbsent, PlannedFault.ForGood)],
        };
        Seen offline = Shown(2 * Hour, active: 3) with { Mode = "OFFLINE" };
        Violation[] At(Plan of, Seen seen) => [.. new BrokenHoldsUpNobody().Check(new RunRecord(of, [seen], []))];
        Assert.Empty(At(plan, Shown(2 * Hour, active: 3)));
        Assert.Single(At(plan, offline));
        Assert.Empty(At(plan with { Faults = [] }, offline));
        Assert.Empty(At(plan, offline with { Node = "till-0002" }));
    }

    [Fact]
    public void L05_an_alert_that_outlives_its_cause_is_found()
    {
        LeftOver left = new(10 * Hour, Till, "audit_regressed", 20);
        Assert.Empty(Found<AlertsClear>(left with { Alerts = "" }));
        Assert.Single(Found<AlertsClear>(left));
        Assert.Empty(Found<AlertsClear>(new FaultBegan(1, Till, 1, FaultKinds.AuditTailCut), left));
        LeftOver failing = left with { Alerts = "rotation_failing" };
        Assert.Empty(Found<AlertsClear>(failing));
        Assert.Single(Found<AlertsClear>(new Received(9 * Hour, Till, "confirm-rotation", 2, "ok"), failing));
        LeftOver knocked = left with { Alerts = "unauthorized_access" };
        Assert.Single(Found<AlertsClear>(new OddCall(Hour, Till, "stranger", "/v1/x", 403), knocked));
        Assert.Empty(Found<AlertsClear>(new OddCall(9 * Hour, Till, "stranger", "/v1/x", 403), knocked));
    }

    [Fact]
    public void I17_a_revoked_license_that_is_valid_again_is_found()
    {
        Revoked revoked = new(1, Till, "lic", 2);
        Reported knows = new(2, Till, "NORMAL", "", 2, 0, false, 1);
        Assert.Empty(Found<LevelsAreKept>(revoked, Answer(3, "VALID")));
        Assert.Single(Found<LevelsAreKept>(revoked, knows, Answer(3, "VALID")));
    }

    [Fact]
    public void I19_a_conflict_over_an_untouched_log_is_found()
    {
        WitnessGiven conflict = new(5, Till, 7, Conflict: true);
        Assert.Empty(Found<HonestLogsAgree>(conflict with { Conflict = false }));
        Assert.Single(Found<HonestLogsAgree>(conflict));
        Assert.Empty(Found<HonestLogsAgree>(new FaultBegan(1, Till, 1, FaultKinds.AuditTailCut), conflict));
    }

    [Fact]
    public void I21_a_secret_that_changes_without_a_log_is_found()
    {
        FaultBegan full = new(Hour, Till, 1, FaultKinds.AuditFull);
        Assert.Empty(Found<NoChangeWithoutLog>(Shown(1, 3), Shown(2 * Hour, 4)));
        Assert.Single(Found<NoChangeWithoutLog>(Shown(1, 3), full, Shown(2 * Hour, 4)));
    }

    [Fact]
    public void I24_a_call_without_an_answer_is_found() =>
        Assert.Single(Found<EveryCallAnswered>(new Unanswered(1, Till, "/v1/validate-license")));

    [Fact]
    public void Every_invariant_has_one_checker()
    {
        string[] ids = [.. AllCheckers.List.Select(c => c.Id)];
        Assert.Equal(ids.Distinct(), ids);
    }
}
