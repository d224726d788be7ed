using System.Globalization;

namespace LicenseAgent.PosLoad.Scenarios;

/// <summary>What must hold of a scenario whose target is the license server.</summary>
internal static class FleetRules
{
    // The server closes connections beyond 4096.
    public const int KeptConnectionsMax = 4000;

    private const int AgentsMax = 100_000, PassiveMax = 1_000_000, SecondsOfMinute = 60;

    public static IEnumerable<string> Mistakes(Scenario s)
    {
        if (s.Fleet is not { } fleet)
        {
            yield return "target server needs fleet: its agents";
            yield break;
        }

        if (fleet.Agents is < 1 or > AgentsMax || fleet.Active < 0 || fleet.Active > fleet.Agents)
            yield return $"fleet: agents is 1 to {AgentsMax}, active at most as many";
        if (fleet.Passive is < 0 or > PassiveMax)
            yield return $"fleet.passive is {fleet.Passive}; 0 to {PassiveMax}";
        if (!FleetActions.All.Contains(fleet.Action))
            yield return $"fleet.action is '{fleet.Action}'; one of {string.Join(", ", FleetActions.All)}";
        if (fleet.TimeFactor < 1 || SecondsOfMinute % fleet.TimeFactor != 0)
            yield return $"fleet.time_factor is {fleet.TimeFactor}; a divisor of {SecondsOfMinute}";
        bool isSchedule = fleet.Action == FleetActions.Schedule;
        if (!isSchedule && fleet.TimeFactor != 1)
            yield return "fleet.time_factor is for the action schedule";
        if (!isSchedule && fleet.Callers > KeptConnectionsMax)
            yield return $"fleet.active is at most {KeptConnectionsMax}: each keeps a connection";
        if (isSchedule && s.Intervals is null)
            yield return "intervals are needed for the action schedule";
        if (s.Users != 1 || s.Hostile is not null || s.Mix != new TokenMix())
            yield return "users, mix and hostile are for the target agent";
        if (s.Baseline && fleet.Action != FleetActions.Connect)
            yield return "baseline of the server is for the action connect";
        foreach (string mistake in PhaseMistakes(s, fleet, isSchedule).Concat(LimitMistakes(s, isSchedule)))
            yield return mistake;
    }

    /// <summary>Members that say nothing of a load on an agent.</summary>
    public static IEnumerable<string> ForTheServerAlone(Scenario s)
    {
        if (s.Target != Targets.Agent)
            yield return $"target is '{s.Target}'; {Targets.Agent} or {Targets.Server}";
        if (s.Fleet is not null || s.Phases.Any(p => p.Closed != 0 || p.OfClosed is not null)
            || s.Limits is not { PerSecond: null, BaselineShare: null, RateFactor: null, RotationsFailed: null })
        {
            yield return "fleet, closed, of_closed and the limits per_second, baseline_share, rate_factor, "
                + "rotations_failed are for the target server";
        }
    }

    private static IEnumerable<string> PhaseMistakes(Scenario s, FleetPlan fleet, bool isSchedule)
    {
        bool hadClosed = false;
        foreach ((int i, Phase phase) in s.Phases.Index())
        {
            if (isSchedule && (phase.Closed != 0 || phase.OfClosed is not null))
                yield return $"phases[{i}]: the action schedule has its own times";
            if (phase.Closed < 0 || phase.Closed > fleet.Callers)
                yield return $"phases[{i}].closed is {phase.Closed}; at most {fleet.Callers}, the agents that call";
            if (phase.OfClosed is { } share && (share is <= 0 or > 1 || phase.Closed != 0 || !hadClosed))
            {
                yield return string.Create(CultureInfo.InvariantCulture,
                    $"phases[{i}].of_closed is {share}; above 0, at most 1, and after a closed phase");
            }

            hadClosed |= phase.Closed > 0;
        }
    }

    private static IEnumerable<string> LimitMistakes(Scenario s, bool isSchedule)
    {
        bool returns = s.Events.Any(e => e.Do == StageEvents.ServerKill) && s.Events.Any(e => e.Do == StageEvents.ServerStart);
        if (s.Limits.RateFactor is not null && !(isSchedule && returns))
            yield return "limits.rate_factor needs the action schedule and the events server-kill and server-start";
        if (s.Limits.RotationsFailed is not null && !isSchedule)
            yield return "limits.rotations_failed needs the action schedule";
        if (s.Limits.BaselineShare is not null && !s.Baseline)
            yield return "limits.baseline_share needs baseline";
        if (s.Limits.PerSecond is not null && s.Phases.All(p => p.Closed == 0))
            yield return "limits.per_second needs a closed phase";
        foreach (StageEvent e in s.Events.Where(e => e.Do is not (StageEvents.ServerKill or StageEvents.ServerStart)))
            yield return $"event {e.Do}: a target server has server-kill and server-start";
        if (s.Events.Count > 0 && !isSchedule)
            yield return "events of a server are for the action schedule";
    }
}
