using System.Collections.Immutable;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Core;

/// <summary>
/// One step in the making: the state so far and the effects so far. Lives for the length of one
/// <see cref="AgentCore.Step"/>; what the phases share goes through it.
/// </summary>
internal sealed class Turn(AgentState state, Now now)
{
    // Most steps want one thing done or none.
    private List<AgentEffect>? _writes;
    private List<AgentEffect>? _erasures;
    private List<AgentEffect>? _completions;
    private AgentEffect? _begun;

    public AgentState State { get; set; } = state;

    public Now Now { get; } = now;

    /// <summary>
    /// First what must be durable, then what may be forgotten because of it, then who is told of it, and last the one
    /// thing that begins: a failed write leaves nothing done that relies on it.
    /// </summary>
    public ImmutableArray<AgentEffect> Effects =>
        [.. _writes ?? [], .. _erasures ?? [], .. _completions ?? [], .. _begun is null ? [] : (AgentEffect[])[_begun]];

    public UtcTime TrustedNow => State.Clock.At(Now.BootMs);

    public void Emit(AgentEffect effect) => (effect switch
    {
        AgentEffect.EraseSecret or AgentEffect.EraseSoftware => _erasures ??= [],
        AgentEffect.CompleteRotate or AgentEffect.CompleteInvalidate or AgentEffect.CompleteEnroll
            or AgentEffect.CompleteDegraded or AgentEffect.CompleteRenewal or AgentEffect.CountRotation =>
            _completions ??= [],
        _ => _writes ??= [],
    }).Add(effect);

    /// <summary>Begins the activity of <paramref name="effect"/>.</summary>
    public void Begin(Activity activity, AgentEffect effect)
    {
        InvariantBroken.Unless(State.Activity is Activity.Idle, $"{State.Activity} is under way.");
        State = State with { Activity = activity };
        _begun = effect;
    }

    public void Send(RequestPlan plan)
    {
        Begin(new Activity.Exchanging(plan, State.RepeatsAtOnce), new AgentEffect.Send(plan));
        State = State with { RepeatsAtOnce = false, SentAwakeMs = Now.AwakeMs };
    }

    public void End() => State = State with { Activity = Activity.Idle.Instance };

    public void UpdateRun(Func<RunState, RunState> change) => State = State with { Run = change(State.Run) };

    /// <summary>Makes the run state durable before the effects that follow.</summary>
    public void SaveRun()
    {
        HighWater water = new(TrustedNow, Now.BootId, Now.BootMs, Now.AwakeMs);
        foreach (AgentEffect undone in State.Redo)
        {
            Emit(undone);
        }

        if (State.Software is { } book && (State.SoftwareUnsaved || State.RunUnsaved))
        {
            Emit(new AgentEffect.SaveSoftware(book));
        }

        State = State with
        {
            Redo = [],
            SoftwareUnsaved = false,
            Run = State.Run with { HighWater = water },
            RunUnsaved = false,
            SaveDueBootMs = Now.BootMs + Timing.HighWaterEveryMs,
        };
        Emit(new AgentEffect.SaveRun(State.Run));
    }

    public void Audit(
        string what, string op, string outcome = "ok", bool durable = false,
        params ReadOnlySpan<(string Name, object Value)> details) =>
        Emit(new AgentEffect.Audit(what, op, outcome, [.. details], durable));

    public void Trouble(string id, string detail) =>
        State = State with { Troubles = State.Troubles.SetItem(id, detail) };

    public void TroubleOver(string id)
    {
        if (State.Troubles.ContainsKey(id))
        {
            State = State with { Troubles = State.Troubles.Remove(id) };
        }
    }

    public bool IsOpen(RetryGate gate) => gate.IsOpen(Now)
        && (Now.BootMs >= gate.PatientUntilBootMs || !Views.HasAllItNeeds(State, TrustedNow));

    public RetryGate Backoff(RetryGate gate, int stream)
    {
        int failures = Math.Min(gate.Failures + 1, 30);
        bool degraded = Views.Mode(State, TrustedNow) is AgentMode.Degraded or AgentMode.Exhausted;
        return new RetryGate(failures, Now.BootMs + Timing.BackoffMs(failures, degraded, Now.Draw(stream)));
    }
}
