using System.Collections.Immutable;
using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.UnitTests.Core;

/// <summary>What an event means to the activity that is under way.</summary>
public enum Fate
{
    /// <summary>It cannot happen then: a bug in the loop.</summary>
    Broken,

    /// <summary>It is how the activity ends.</summary>
    Ends,

    /// <summary>It is taken in beside the activity.</summary>
    Beside,
}

/// <summary>A till in each activity, an event of each kind, and what is stated of every pair of them.</summary>
internal static class EventTable
{
    private static readonly string[] Loadings = ["Loading", "LoadingSecrets", "LoadingPrevious"];

    private static readonly string[] Exchanges =
    [
        "Exchanging.Prepare", "Exchanging.Confirm", "Exchanging.Reject", "Exchanging.CheckIn",
        "Exchanging.RenewCertificate", "Exchanging.RenewLicense",
    ];

    /// <summary>Every activity there is; a new one is stated here first.</summary>
    public static readonly ImmutableArray<string> Activities =
    [
        "Idle", .. Loadings, .. Exchanges, "Staging", "Committing", "Probing", "Anchoring", "Enrolling",
        "OpeningSoftware", "FetchingKeysets",
    ];

    /// <summary>By event: the activities it ends. It is broken in all others, unless it is taken in beside any.</summary>
    public static readonly ImmutableSortedDictionary<string, string[]> Ending =
        new Dictionary<string, string[]>
        {
            ["Started"] = [],
            ["FoundNotEnrolled"] = ["Loading"],
            ["FoundEnrolling"] = ["Loading"],
            ["FoundIdentityDamaged"] = ["Loading"],
            ["StateLoaded"] = ["Loading"],
            ["StateUnusable"] = ["Loading"],
            ["LoadFailed"] = Loadings,
            ["TpmFailed"] = [.. Activities.Skip(1)],
            ["TpmReturned"] = ["Probing"],
            ["SecretsLoaded"] = ["LoadingSecrets"],
            ["AnswerArrived"] = Exchanges,
            ["ContactFailed"] = Exchanges,
            ["SecretStaged"] = ["Staging"],
            ["StagingFailed"] = ["Staging"],
            ["PreviousLoaded"] = ["LoadingPrevious"],
            ["PreviousFailed"] = ["LoadingPrevious"],
            ["GenerationCommitted"] = ["Committing"],
            ["GenerationFailed"] = ["Committing"],
            ["SoftwareOpened"] = ["OpeningSoftware"],
            ["SoftwareFailed"] = ["OpeningSoftware"],
            ["Anchored"] = ["Anchoring"],
            ["AnchoringFailed"] = ["Anchoring"],
            ["KeysetsFetched"] = ["FetchingKeysets"],
            ["KeysetsNotFetched"] = ["FetchingKeysets"],
            ["Enrolled"] = ["Enrolling", "Loading"],
            ["EnrollmentFailed"] = ["Enrolling"],
        }.ToImmutableSortedDictionary(StringComparer.Ordinal);

    /// <summary>Events of people, of time and of storage: they come whenever they like.</summary>
    public static readonly ImmutableArray<string> Beside =
    [
        "Ticked", "EffectFailed", "TroubleNoticed", "CheckpointWanted", "RotateAsked", "InvalidateAsked", "DegradedAsked",
        "SettingsChanged", "EnrollAsked", "RenewalAsked",
    ];

    public static Fate FateOf(string activity, string happened)
    {
        if (Beside.Contains(happened))
        {
            return Fate.Beside;
        }

        return Ending[happened].Contains(activity) ? Fate.Ends : Fate.Broken;
    }

    public static Activity SampleActivity(string name)
    {
        BoundState bound = Bound();
        ImmutableArray<SecretEntry> entries = [bound.Active!];
        return name switch
        {
            "Idle" => Activity.Idle.Instance,
            "Loading" => new Activity.Loading(),
            "LoadingSecrets" => new Activity.LoadingSecrets(entries),
            "LoadingPrevious" => new Activity.LoadingPrevious(Given.Confirmed(3, Given.Start)),
            "Exchanging.Prepare" => Exchanging(new RequestPlan.Prepare("r", Intent, 2)),
            "Exchanging.Confirm" => Exchanging(new RequestPlan.Confirm("r", Given.Pending(3, true))),
            "Exchanging.Reject" => Exchanging(new RequestPlan.Reject("r", 3, RejectReasons.KcvMismatch)),
            "Exchanging.RenewLicense" => Exchanging(new RequestPlan.RenewLicense("r", new LicenseRenewal(4, "token"))),
            "Exchanging.CheckIn" => Exchanging(new RequestPlan.CheckIn(
                "r", "NORMAL", null, 2, [2], false, TpmReports.Ok, 0, 1, null)),
            "Exchanging.RenewCertificate" => Exchanging(new RequestPlan.RenewCertificate("r")),
            "Staging" => new Activity.Staging(Given.Prepared(3, Given.Start), false),
            "Committing" => new Activity.Committing(bound with { Generation = 8 }),
            "Probing" => new Activity.Probing(),
            "Anchoring" => new Activity.Anchoring(),
            "FetchingKeysets" => new Activity.FetchingKeysets(),
            "Enrolling" => new Activity.Enrolling(5),
            "OpeningSoftware" => new Activity.OpeningSoftware(),
            _ => throw new ArgumentException($"No sample of {name}."),
        };
    }

    /// <summary>A till whose last step has left a durable write and, in this activity, all that belongs to it.</summary>
    public static AgentState StateIn(string name)
    {
        AgentState loaded = CoreDriver.Enrolled(Bound()).State;
        bool unenrolled = name is "Loading" or "Enrolling";
        return loaded with
        {
            Activity = SampleActivity(name),
            Identity = unenrolled ? null : loaded.Identity,
            Lock = unenrolled ? LockReason.NotEnrolled : null,
            Loaded = [1, 2, 3],
            Tpm = name == "Probing" ? TpmHealth.Unavailable : TpmHealth.Ok,
            Run = loaded.Run with
            {
                Intent = name is "Exchanging.Prepare" or "Staging" ? Intent : null,
                Pending = name is "Exchanging.Confirm" or "LoadingPrevious" ? Given.Pending(3, true) : null,
            },
            LastEffects = [new AgentEffect.SaveRun(loaded.Run)],
        };
    }

    public static AgentEvent Event(string name, string activity) => name switch
    {
        "Started" => new AgentEvent.Started(),
        "Ticked" => new AgentEvent.Ticked(),
        "FoundNotEnrolled" => new AgentEvent.FoundNotEnrolled(),
        "FoundEnrolling" => new AgentEvent.FoundEnrolling(Given.AgentId),
        "FoundIdentityDamaged" => new AgentEvent.FoundIdentityDamaged(LockReason.IdentityDamaged),
        "StateLoaded" => new AgentEvent.StateLoaded(Given.Identity, Bound(), Given.Run(Bound())),
        "StateUnusable" => new AgentEvent.StateUnusable(
            Given.Identity, Given.Keyset, LockReason.StateRollback, 7, 2, RunState.Empty),
        "LoadFailed" => new AgentEvent.LoadFailed("EIO"),
        "CheckpointWanted" => new AgentEvent.CheckpointWanted(),
        "TpmFailed" => new AgentEvent.TpmFailed(TpmHealth.Unavailable, "gone"),
        "TpmReturned" => new AgentEvent.TpmReturned(),
        "SecretsLoaded" => new AgentEvent.SecretsLoaded([2], []),
        "AnswerArrived" => new AgentEvent.AnswerArrived(AnswerTo(activity), new byte[] { 1 }, CoreDriver.FirstBootMs),
        "ContactFailed" => new AgentEvent.ContactFailed("timeout", null),
        "SecretStaged" => new AgentEvent.SecretStaged(3, Given.File(3)),
        "StagingFailed" => new AgentEvent.StagingFailed(3, null, "TPM busy"),
        "PreviousLoaded" => new AgentEvent.PreviousLoaded([]),
        "PreviousFailed" => new AgentEvent.PreviousFailed("io_error"),
        "GenerationCommitted" => new AgentEvent.GenerationCommitted(Bound() with { Generation = 8 }),
        "GenerationFailed" => new AgentEvent.GenerationFailed("ENOSPC", false),
        "SoftwareOpened" => new AgentEvent.SoftwareOpened(
            Given.Identity, Given.Keyset, RunState.Empty, SoftwareBook.Empty, "key-1", []),
        "SoftwareFailed" => new AgentEvent.SoftwareFailed("no key file"),
        "Anchored" => new AgentEvent.Anchored(),
        "AnchoringFailed" => new AgentEvent.AnchoringFailed("ENOSPC"),
        "EffectFailed" => new AgentEvent.EffectFailed("ENOSPC"),
        "TroubleNoticed" => new AgentEvent.TroubleNoticed("audit_gap", "12 records are missing"),
        "RotateAsked" => new AgentEvent.RotateAsked(1),
        "InvalidateAsked" => new AgentEvent.InvalidateAsked(1, 2, true),
        "DegradedAsked" => new AgentEvent.DegradedAsked(1, false),
        "SettingsChanged" => new AgentEvent.SettingsChanged(Given.Settings),
        "KeysetsFetched" => new AgentEvent.KeysetsFetched(
            new FileReference(2, Digest32.Sha256("keyset-2"u8)), Given.Start + TimeSpan.FromDays(365)),
        "KeysetsNotFetched" => new AgentEvent.KeysetsNotFetched("timeout"),
        "RenewalAsked" => new AgentEvent.RenewalAsked(1, "token"),
        "EnrollAsked" => new AgentEvent.EnrollAsked(1),
        "Enrolled" => new AgentEvent.Enrolled(
            Given.Identity, Given.Keyset, 0, 7, Given.Start, CoreDriver.FirstBootMs),
        "EnrollmentFailed" => new AgentEvent.EnrollmentFailed("no_contact", "timeout", true),
        _ => throw new ArgumentException($"No sample of {name}."),
    };

    public static ServerAnswer AnswerTo(string activity) => activity switch
    {
        "Exchanging.Confirm" => Given.Confirmed(3, Given.Start),
        "Exchanging.Reject" => Given.Rejected(3, Given.Start),
        "Exchanging.RenewLicense" => Given.RenewedLicense(Given.Start),
        "Exchanging.CheckIn" => Given.CheckedIn(Given.Start),
        "Exchanging.RenewCertificate" => Given.Renewed(Given.Start),
        _ => Given.Prepared(3, Given.Start),
    };

    private static RotationIntent Intent =>
        new("r", 2, Given.Kcv(2).ToString(), RotationReasons.Scheduled);

    private static BoundState Bound() =>
        Given.Bound(Given.Grace(1, Given.Start + TimeSpan.FromDays(3)), Given.Active(2));

    private static Activity.Exchanging Exchanging(RequestPlan plan) => new(plan, RepeatedAtOnce: false);
}
