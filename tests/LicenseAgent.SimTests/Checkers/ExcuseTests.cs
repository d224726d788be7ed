using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Sim.Checkers;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World.Server;
using Xunit;
using static LicenseAgent.SimTests.Checkers.Histories;

namespace LicenseAgent.SimTests.Checkers;

/// <summary>What was done to a till explains what it shows until it is whole again, and nothing before or after.</summary>
public sealed class ExcuseTests
{
    private static readonly Reported CheckIn = new(20, Till, "NORMAL", "", 0, 0, false, 1);
    private static readonly AnswerJudged Contact = new(21, Till, "None", 1, 2);
    private static readonly Seen Normal = Shown(22, active: 1);

    private static readonly Happening[] WholeAgain = [CheckIn, Contact, Normal];

    [Fact]
    public void It_holds_from_its_beginning_until_the_till_has_checked_in_and_shown_normal()
    {
        Excuse excuse = new(FaultKinds.DiskFull);
        Assert.False(Holds(excuse, Started(1), CheckIn, Contact, Normal));
        Assert.True(Holds(excuse, Begins(FaultKinds.DiskFull)));
        Assert.True(Holds(excuse, WholeAgain));
        Assert.True(Holds(excuse, Ends(FaultKinds.DiskFull), Normal));
        Assert.True(Holds(excuse, Contact, Normal));
        Assert.False(Holds(excuse, WholeAgain));
    }

    [Fact]
    public void Another_fault_is_none()
    {
        Excuse excuse = new(FaultKinds.DiskFull);
        Assert.False(Holds(excuse, Begins(FaultKinds.Cut)));
        Assert.Equal(0, excuse.LastUs);
    }

    [Fact]
    public void Files_that_were_changed_are_looked_at_by_a_process_that_begins_since()
    {
        Excuse excuse = new(FaultKinds.SecretDamaged);
        Assert.True(Holds(excuse, [Begins(FaultKinds.SecretDamaged), Ends(FaultKinds.SecretDamaged), .. WholeAgain]));
        Assert.False(Holds(excuse, [Started(30), .. WholeAgain]));
    }

    [Fact]
    public void Books_that_were_put_back_are_whole_with_the_next_active_secret()
    {
        Excuse excuse = new(FaultKinds.ServerRestored);
        Assert.True(Holds(excuse, [Begins(FaultKinds.ServerRestored), Ends(FaultKinds.ServerRestored), .. WholeAgain]));
        Assert.False(Holds(excuse, [Active(30, 2, graceHours: 1), .. WholeAgain]));
    }

    [Fact]
    public void What_matters_at_a_start_matters_at_none_but_a_start()
    {
        Excuse excuse = new(FaultKinds.WallStep) { AtStart = [FaultKinds.TpmAbsent] };
        Assert.False(Holds(excuse, Begins(FaultKinds.TpmAbsent), Ends(FaultKinds.TpmAbsent), Started(5)));
        Assert.True(Holds(excuse, Begins(FaultKinds.TpmAbsent), Started(6)));
        Assert.False(Holds(excuse, [Ends(FaultKinds.TpmAbsent), .. WholeAgain]));
    }

    [Fact]
    public void A_suspension_holds_until_it_is_lifted_and_the_till_has_heard_of_it()
    {
        Excuse excuse = new() { Orders = [OrderKinds.Suspend] };
        Assert.True(Holds(excuse, [new Ordered(1, Till, "suspend", "server"), .. WholeAgain]));
        Assert.True(Holds(excuse, new Ordered(2, Till, "resume", "server"), Normal));
        Assert.False(Holds(excuse, WholeAgain));
    }

    [Fact]
    public void Its_last_moment_is_that_of_the_end_of_the_fault()
    {
        Excuse excuse = new(FaultKinds.DiskFull);
        Holds(excuse, Begins(FaultKinds.DiskFull), Shown(15, 1));
        Assert.Equal(15, excuse.LastUs);
        Holds(excuse, Ends(FaultKinds.DiskFull), Shown(40, 1));
        Assert.Equal(16, excuse.LastUs);
    }

    [Fact]
    public void I05_a_version_below_what_the_till_was_told_of_and_one_invalidated_at_it_are_found()
    {
        Reported told = CheckIn with { InvalidBelow = 2 };
        Assert.Empty(Found<NothingPastItsEnd>(told, Answer(30, "VALID")));
        Assert.Single(Found<NothingPastItsEnd>(told, Contact, Answer(30, "VALID")));
        Assert.Empty(Found<NothingPastItsEnd>(told, Contact, Answer(30, "VALID") with { TokenVersion = 2 }));
        Assert.Single(Found<NothingPastItsEnd>(new Ordered(1, Till, "invalidate 1", "200"), Answer(30, "VALID")));
        Assert.Empty(Found<NothingPastItsEnd>(new Ordered(1, Till, "invalidate 1", "409"), Answer(30, "VALID")));
    }

    [Fact]
    public void I05_a_limit_of_grace_that_was_heard_ends_service()
    {
        Reported told = CheckIn with { GraceLimit = SimServer.At(2 * Hour) };
        Assert.Empty(Found<NothingPastItsEnd>(told, Contact, Answer(Hour, "VALID")));
        Assert.Single(Found<NothingPastItsEnd>(told, Contact, Answer(3 * Hour, "VALID")));
        Assert.Empty(Found<NothingPastItsEnd>(told, Contact, CheckIn, Contact, Answer(3 * Hour, "VALID")));

        // That it is lifted may have been heard a moment ago; what was answered an hour ago and never heard, was lost.
        Reported lifted = CheckIn with { AtUs = (3 * Hour) - Second };
        Assert.Empty(Found<NothingPastItsEnd>(told, Contact, lifted, Answer(3 * Hour, "VALID")));
        Assert.Single(Found<NothingPastItsEnd>(
            told, Contact, lifted with { AtUs = 2 * Hour }, Answer(3 * Hour, "VALID")));
    }

    [Fact]
    public void I12_a_full_disk_explains_an_answer_without_a_record_where_the_till_is_to_go_on()
    {
        Validated bare = Answer(20, "VALID") with { AuditedFirst = false };
        Assert.Empty(Found<AuditedBeforeAnswer>(Begins(FaultKinds.AuditFull), bare));
        Assert.Single(Found<AuditedBeforeAnswer>(bare, Begins(FaultKinds.AuditFull)));
        Assert.Single(Found<AuditedBeforeAnswer>(
            Begins(FaultKinds.AuditFull), Ends(FaultKinds.AuditFull), bare with { AtUs = Hour }));
        RunRecord refuses = new(
            Plan() with { Knobs = new Knobs(RefuseWithoutAudit: true) }, [Begins(FaultKinds.AuditFull), bare], []);
        Assert.Single(new AuditedBeforeAnswer().Check(refuses));
    }

    [Fact]
    public void I11_a_fault_long_after_explains_nothing()
    {
        Happening[] twice = [Answer(Second, "VALID"), Answer(2 * Second, "VALID")];
        Assert.Single(Found<NonceOnce>([.. twice, Begins(FaultKinds.AuditFull)]));
        Assert.Empty(Found<NonceOnce>([Begins(FaultKinds.AuditFull), .. twice]));
    }

    private static Started Started(long at) => new(at, Till, 1, "boot");

    private static FaultBegan Begins(string kind) => new(10, Till, 1, kind);

    private static FaultEnded Ends(string kind) => new(16, Till, 1, kind);

    private static bool Holds(Excuse excuse, params Happening[] then)
    {
        foreach (Happening h in then)
        {
            excuse.On(h);
        }

        return excuse.Holds;
    }
}
