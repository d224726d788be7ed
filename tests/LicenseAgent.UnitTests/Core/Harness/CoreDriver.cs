using System.Collections.Immutable;
using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core;

/// <summary>
/// Drives the core by hand: holds the state and the clocks, keeps the effects of the last step, and answers what a
/// test does not care for (loads, check-ins, anchors) in the dullest honest way.
/// </summary>
internal sealed class CoreDriver(CoreSettings? settings = null)
{
    public const long FirstBootMs = 1_000_000;
    private const int SettleStepsMax = 100;

    private ulong _draws;

    public AgentState State { get; set; } = AgentState.Initial(settings ?? Given.Settings);

    /// <summary>Of the last step.</summary>
    public ImmutableArray<AgentEffect> Effects { get; private set; } = [];

    /// <summary>Of all steps.</summary>
    public List<AgentEffect> AllEffects { get; } = [];

    public string BootId { get; set; } = "boot-1";

    public long BootMs { get; set; } = FirstBootMs;

    /// <summary>What the server's clock shows, and the till's wall clock unless a test moves it.</summary>
    public UtcTime Real { get; set; } = Given.Start;

    public TimeSpan WallError { get; set; }

    /// <summary>How long the machine has slept in this boot.</summary>
    public long SleptMs { get; set; }

    /// <summary>What a random draw gives, or by default something else each time.</summary>
    public UInt128? Chance { get; set; }

    public Now Now => new(BootId, BootMs, BootMs - SleptMs, Real + WallError, Chance ?? NextChance());

    public UtcTime TrustedNow => State.Clock.At(BootMs);

    public AgentMode Mode => Views.Mode(State, TrustedNow);

    public RunState Run => State.Run;

    /// <summary>An enrolled till in contact, at rest.</summary>
    public static CoreDriver Enrolled(BoundState bound, RunState? run = null, CoreSettings? settings = null)
    {
        CoreDriver driver = new(settings);
        driver.Load(bound, run);
        driver.Settle();
        return driver;
    }

    /// <summary>
    /// The process starts, finds this state and tells the TPM of it; nothing after that is answered.
    /// </summary>
    public void Load(
        BoundState bound, RunState? run = null, UtcTime? mirror = null, TpmReading? tpmClock = null)
    {
        Step(new AgentEvent.Started());
        Step(new AgentEvent.StateLoaded(Given.Identity, bound, run ?? Given.Run(bound))
        {
            Mirror = mirror,
            TpmClock = tpmClock,
        });
        if (State.Activity is Activity.Anchoring)
        {
            Step(new AgentEvent.Anchored());
        }
    }

    public CoreDriver Step(AgentEvent happened)
    {
        StepResult result = AgentCore.Step(State, happened, Now);
        State = result.State;
        Effects = [.. result.Effects];
        AllEffects.AddRange(Effects);
        return this;
    }

    public CoreDriver Tick() => Step(new AgentEvent.Ticked());

    /// <summary>Time passes and the core is woken once.</summary>
    public CoreDriver After(TimeSpan span)
    {
        Pass(span);
        return Tick();
    }

    public void Pass(TimeSpan span)
    {
        BootMs += (long)span.TotalMilliseconds;
        Real += span;
    }

    /// <summary>The machine was off: another boot, the wall clock went on.</summary>
    public void Reboot(string bootId, TimeSpan off = default)
    {
        BootId = bootId;
        BootMs = 5_000;
        SleptMs = 0;
        Real += off;
        State = AgentState.Initial(State.Settings);
    }

    /// <summary>A verified answer of the server to what was sent just now.</summary>
    public CoreDriver Answer(ServerAnswer answer) =>
        Step(new AgentEvent.AnswerArrived(answer, Raw(answer), BootMs));

    public CoreDriver Refuse(
        string error, int? retryAfterS = null, long? active = null, long? highest = null) =>
        Answer(Given.Refused(error, Real, retryAfterS, active, highest));

    public CoreDriver LoseContact(TimeSpan? retryAfter = null) =>
        Step(new AgentEvent.ContactFailed("timeout", retryAfter));

    /// <summary>No answer comes until then; the core wakes when it wants to.</summary>
    public CoreDriver LoseContactUntil(UtcTime time)
    {
        while (Real < time)
        {
            if (State.Activity is Activity.Exchanging)
            {
                LoseContact();
            }
            else if (!AnswerDully())
            {
                long wake = Math.Min(AgentCore.NextWakeBootMs(State, Now), BootMs + (time.UnixMs - Real.UnixMs));
                After(TimeSpan.FromMilliseconds(wake - BootMs));
            }
        }

        return State.Activity is Activity.Exchanging ? LoseContact() : this;
    }

    public CoreDriver CheckIn(params Directive[] directives)
    {
        SettleUntil<RequestPlan.CheckIn>();
        return Answer(Given.CheckedIn(Real, directives));
    }

    public CoreDriver Staged(long version, int copy = 1) =>
        Step(new AgentEvent.SecretStaged(version, Given.File(version, copy)));

    /// <summary>The generation being written is on disk and in the TPM.</summary>
    public CoreDriver Commit() => Step(new AgentEvent.GenerationCommitted(Under<Activity.Committing>().Next));

    /// <summary>A request for the next version is out; an operator asks where none is due.</summary>
    public RequestPlan.Prepare ToPrepare()
    {
        if (Settle().State.Activity is Activity.Idle)
        {
            Step(new AgentEvent.RotateAsked(99));
        }

        return SettleUntil<RequestPlan.Prepare>();
    }

    /// <summary>From the request for a version to the confirm that is out.</summary>
    public CoreDriver ToConfirm(long version)
    {
        ToPrepare();
        Answer(Given.Prepared(version, Real));
        return Staged(version);
    }

    /// <summary>A whole rotation; what was ACTIVE gets a week of grace.</summary>
    public CoreDriver Rotate(long version)
    {
        long before = Views.Active(State)?.Version ?? 0;
        ToConfirm(version);
        PreviousVersion[] previous = before == 0 || before == version
            ? []
            : [new PreviousVersion(before, Real + TimeSpan.FromDays(8))];
        Answer(Given.Confirmed(version, Real, previous: previous));
        return Commit();
    }

    /// <summary>Answers everything but requests about secrets, until nothing more is under way.</summary>
    public CoreDriver Settle()
    {
        for (int i = 0; i < SettleStepsMax; i++)
        {
            if (!AnswerDully())
            {
                return this;
            }
        }

        throw new InvalidOperationException($"Not at rest after {SettleStepsMax} steps: {State.Activity}");
    }

    /// <summary>Answers dully until a request of this kind is out; other requests about secrets are lost.</summary>
    public T SettleUntil<T>()
        where T : RequestPlan
    {
        for (int i = 0; i < SettleStepsMax; i++)
        {
            if (State.Activity is Activity.Exchanging { Plan: T plan })
            {
                return plan;
            }

            if (AnswerDully())
            {
                continue;
            }

            if (State.Activity is Activity.Exchanging)
            {
                LoseContact();
            }
            else
            {
                long wake = AgentCore.NextWakeBootMs(State, Now);
                After(TimeSpan.FromMilliseconds(wake - BootMs));
            }
        }

        throw new InvalidOperationException($"No {typeof(T).Name} after {SettleStepsMax} steps: {State.Activity}");
    }

    public T Under<T>()
        where T : Activity => Assert.IsType<T>(State.Activity);

    public T Plan<T>()
        where T : RequestPlan => Assert.IsType<T>(Under<Activity.Exchanging>().Plan);

    /// <summary>The effects of a kind in the last step.</summary>
    public ImmutableArray<T> Did<T>()
        where T : AgentEffect => [.. Effects.OfType<T>()];

    /// <summary>Names of the audit records of the last step.</summary>
    public IEnumerable<string> Audited => Did<AgentEffect.Audit>().Select(a => a.Event);

    public int CountAudited(string what) => AllEffects.OfType<AgentEffect.Audit>().Count(a => a.Event == what);

    private bool AnswerDully()
    {
        switch (State.Activity)
        {
            case Activity.LoadingSecrets loading:
                Step(new AgentEvent.SecretsLoaded([.. loading.Entries.Select(e => e.Version)], []));
                return true;
            case Activity.Exchanging { Plan: RequestPlan.CheckIn }:
                Answer(Given.CheckedIn(Real));
                return true;
            case Activity.Anchoring:
                Step(new AgentEvent.Anchored());
                return true;
            case Activity.Committing:
                Commit();
                return true;
            default:
                return false;
        }
    }

    private UInt128 NextChance()
    {
        _draws++;
        return unchecked(new UInt128(_draws * 0x9E37_79B9_7F4A_7C15, _draws * 0xC2B2_AE3D_27D4_EB4F));
    }

    private static ReadOnlyMemory<byte> Raw(ServerAnswer answer) =>
        System.Text.Encoding.UTF8.GetBytes(answer.ToString());
}
