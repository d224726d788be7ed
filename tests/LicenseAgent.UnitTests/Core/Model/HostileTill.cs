using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.UnitTests.Core.Model;

/// <summary>
/// A till whose owner controls power, clock battery, network, and the disk while it is off: the real core, a disk that
/// can be copied and put back, a TPM that keeps its mirror and the state it belongs to. Everything in it is a value, so
/// that a copy is another till.
/// </summary>
internal sealed class HostileTill
{
    // Longer than any back-off, and than the time between two check-ins.
    private const long LongestWaitMs = 3_700_000;

    private Directive[] _directives = [];
    private int _boot = 1;
    private long _bootMs = 10_000;
    private long _awakeMs = 10_000;
    private long _tpmMs = 1_000_000;

    /// <summary>What an enrolled till in contact has on its disk.</summary>
    public HostileTill(BoundState bound)
    {
        (Bound, OnDisk, Run) = (bound, bound, Given.Run(bound) with { Anchor = null, HighWater = null });
        Start();
        Contact();
        RanMs = 0;
        Contacted = Real;
    }

    public AgentState State { get; private set; } = AgentState.Initial(Given.Settings);

    /// <summary>The state that the TPM's counter and slot name.</summary>
    public BoundState Bound { get; private set; }

    /// <summary><c>state.json</c>; none: deleted.</summary>
    public BoundState? OnDisk { get; private set; }

    public RunState? Run { get; private set; }

    public UtcTime? Mirror { get; private set; }

    /// <summary>The disk as it was when the till was last off.</summary>
    public RunState? Copied { get; private set; }

    public UtcTime Real { get; private set; } = Given.Start;

    /// <summary>What the wall clock shows, off the real time.</summary>
    public TimeSpan WallError { get; set; }

    public UtcTime Contacted { get; private set; }

    /// <summary>How long it has run since the last contact.</summary>
    public long RanMs { get; private set; }

    public bool DiskIsFull { get; set; }

    public UtcTime TrustedNow => State.Clock.At(_bootMs);

    public AgentMode Mode => Views.Mode(State, TrustedNow);

    private Now Now => new($"boot-{_boot}", _bootMs, _awakeMs, Real + WallError, 7);

    public HostileTill Copy() => (HostileTill)MemberwiseClone();

    public void Start()
    {
        State = AgentState.Initial(Given.Settings);
        Step(new AgentEvent.Started());
    }

    /// <summary>The agent runs and wakes as it likes; at the end it may not have woken for up to a minute.</summary>
    public void RunFor(TimeSpan span)
    {
        long left = (long)span.TotalMilliseconds;
        while (left > 0)
        {
            long wake = Math.Max(1, AgentCore.NextWakeBootMs(State, Now) - _bootMs);
            Pass(Math.Min(wake, left));
            if (wake <= left)
            {
                Step(new AgentEvent.Ticked());
            }

            left -= wake;
        }
    }

    /// <summary>Power goes and comes back; the TPM's clock falls back, as a killed one's does.</summary>
    public void Cut(TimeSpan off, RunState? run) => Cut(off, run, OnDisk);

    /// <param name="state">What its owner leaves as <c>state.json</c>.</param>
    public void Cut(TimeSpan off, RunState? run, BoundState? state)
    {
        OnDisk = state;
        RunState? left = Run;
        Run = run;
        Copied = left;
        Real += off;
        _boot++;
        (_bootMs, _awakeMs, _tpmMs) = (5_000, 5_000, 500);
        Start();
    }

    public void Sleep(TimeSpan span)
    {
        _bootMs += (long)span.TotalMilliseconds;
        Real += span;
        Step(new AgentEvent.Ticked());
    }

    /// <summary>Whatever is asked of the server is answered, until nothing is asked.</summary>
    public void Contact(params Directive[] directives)
    {
        (IsOnline, _directives) = (true, directives);
        Pass(LongestWaitMs);
        Step(new AgentEvent.Ticked());
        IsOnline = false;
        (RanMs, Contacted) = (0, Real);
    }

    private bool IsOnline { get; set; }

    private void Pass(long ms)
    {
        _bootMs += ms;
        _awakeMs += ms;
        _tpmMs += ms;
        Real += TimeSpan.FromMilliseconds(ms);
        RanMs += ms;
    }

    private void Step(AgentEvent happened)
    {
        AgentEvent? next = happened;
        while (next is not null)
        {
            StepResult result = AgentCore.Step(State, next, Now);
            State = result.State;
            next = null;
            foreach ((int done, AgentEffect effect) in result.Effects.Index())
            {
                if (effect is AgentEffect.SaveRun && DiskIsFull)
                {
                    next = new AgentEvent.EffectFailed("ENOSPC", done);
                    break;
                }

                next = CarryOut(effect) ?? next;
            }
        }
    }

    private AgentEvent? CarryOut(AgentEffect effect)
    {
        switch (effect)
        {
            case AgentEffect.SaveRun save:
                Run = save.Run;
                return null;
            case AgentEffect.WriteAnchors anchors:
                Mirror = anchors.Mirror ?? Mirror;
                return new AgentEvent.Anchored { TpmClock = new TpmReading(_tpmMs, _bootMs) };
            case AgentEffect.LoadState when OnDisk != Bound:
                return new AgentEvent.StateUnusable(
                    Given.Identity, Given.Keyset, OnDisk is null ? LockReason.StateCorrupt : LockReason.StateRollback,
                    Bound.Generation, Bound.HighestVersionSeen, Run ?? RunState.Empty)
                {
                    Mirror = Mirror,
                };
            case AgentEffect.LoadState:
                return new AgentEvent.StateLoaded(Given.Identity, Bound, Run ?? RunState.Empty)
                {
                    Mirror = Mirror,
                    TpmClock = new TpmReading(_tpmMs, _bootMs),
                };
            case AgentEffect.LoadPrevious:
                return new AgentEvent.PreviousLoaded([]);
            case AgentEffect.LoadSecrets load:
                return new AgentEvent.SecretsLoaded([.. load.Entries.Select(e => e.Version)], []);
            case AgentEffect.CommitGeneration commit:
                (Bound, OnDisk) = (commit.Next, commit.Next);
                return new AgentEvent.GenerationCommitted(commit.Next);
            case AgentEffect.StageSecret stage:
                return new AgentEvent.SecretStaged(
                    stage.Answer.SecretVersion, Given.File(stage.Answer.SecretVersion, 1));
            case AgentEffect.Send send when IsOnline:
                return new AgentEvent.AnswerArrived(Answer(send.Plan), new byte[] { 1 }, _bootMs)
                {
                    TpmClock = new TpmReading(_tpmMs, _bootMs),
                };
            case AgentEffect.Send:
                return new AgentEvent.ContactFailed("timeout", null);
            default:
                return null;
        }
    }

    private ServerAnswer Answer(RequestPlan plan) => plan switch
    {
        RequestPlan.Prepare p => Given.Prepared(p.Highest + 1, Real),
        RequestPlan.Confirm c => Given.Confirmed(c.Pending.Entry.Version, Real),
        RequestPlan.CheckIn => Given.CheckedIn(Real, _directives),
        _ => throw new InvalidOperationException($"Nobody answers {plan}."),
    };
}
