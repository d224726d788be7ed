using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World;
using LicenseAgent.Sim.World.Server;

namespace LicenseAgent.Sim.Checkers;

/// <summary>After the healing every till is NORMAL within bounded time, and serves.</summary>
internal sealed class ComesBack : Checker
{
    public override string Id => "I15";

    public override string Claim => "After sane time and contact every agent returns to NORMAL, and serves";

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        if (run.History.OfType<Healed>().LastOrDefault() is not { } healed)
        {
            yield break;
        }

        foreach (string node in run.Nodes.Where(n => !run.IsLeftBroken(n)))
        {
            Judge(run);
            Seen? last = run.Of(node).OfType<Seen>().LastOrDefault(s => s.Node == node);
            if (last is null || last.AtUs < healed.AtUs)
            {
                yield return new Violation(Id, healed.AtUs + SimWorld.HealUs, node, "nothing runs on this till");
            }
            else if (last.Mode != "NORMAL")
            {
                yield return Broken(last, $"still {last.Mode} {last.Lock} hours after the healing");
            }
            else if (run.Of(node).OfType<AskedAtEnd>().LastOrDefault() is { } asked && asked.Reason != "VALID")
            {
                yield return Broken(asked, $"a license made after the healing is answered {asked.Reason}");
            }
        }
    }
}

/// <summary>After the healing server and till have the same secret ACTIVE.</summary>
internal sealed class ViewsAgree : Checker
{
    // The run ends at some moment of a rotation.
    private const long UnderWayUs = 60_000_000;

    public override string Id => "L02";

    public override string Claim => "After the healing server and till agree on the secret";

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        if (run.History.OfType<Healed>().LastOrDefault() is not { } healed)
        {
            yield break;
        }

        foreach (string node in run.Nodes.Where(n => !run.IsLeftBroken(n)))
        {
            if (run.Of(node).OfType<Seen>().LastOrDefault(s => s.Node == node) is { Mode: "NORMAL" } last)
            {
                Judge(run);
                VersionChanged[] actives = [.. run.Of(node).OfType<VersionChanged>()
                    .Where(v => v.Node == node && v.State == VersionState.Active)];
                long server = actives.Select(v => v.Version).LastOrDefault();
                long before = actives.Where(v => v.AtUs < healed.AtUs + SimWorld.HealUs - UnderWayUs)
                    .Select(v => v.Version).LastOrDefault();
                if (last.Active != server && last.Active != before)
                {
                    yield return Broken(last, $"ACTIVE is {last.Active}, the server's is {server}");
                }
            }
        }
    }
}

/// <summary>A till that stays broken, because nobody can heal it, holds up no other.</summary>
internal sealed class BrokenHoldsUpNobody : Checker
{
    public override string Id => "L04";

    public override string Claim => "Where one till stays broken the others come back all the same";

    public override IReadOnlyList<string> Profiles => ["swarm"];

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        foreach (string node in run.Nodes.Where(n => !run.IsLeftBroken(n) && run.Nodes.Any(run.IsLeftBroken)))
        {
            Judge(run);
            if (run.Of(node).OfType<Seen>().LastOrDefault(s => s.Node == node) is { Mode: not "NORMAL" } last)
            {
                yield return Broken(last, $"{last.Mode} {last.Lock}, and another till is broken for good");
            }
        }
    }
}

/// <summary>Whatever a run did, a process that is left alone holds no more timers than it has things to wait for.</summary>
internal sealed class NothingPilesUp : Checker
{
    private const int TimersMax = 48;

    public override string Id => "L03";

    public override string Claim => "No queue grows: what a till waits for at the end is bounded";

    public override IEnumerable<Violation> Check(RunRecord run) =>
        from left in Judge(run, run.History.OfType<LeftOver>(), l => l.Timers > TimersMax)
        select Broken(left, $"{left.Timers} timers are armed");
}

/// <summary>Alerts of what is over are over.</summary>
internal sealed class AlertsClear : Checker
{
    private const long KnocksUs = 2L * 3_600_000_000;

    public override string Id => "L05";

    public override string Claim => "After the healing no alert stands but those of what cannot be undone";

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        foreach (LeftOver left in run.History.OfType<LeftOver>().Where(l => !run.IsLeftBroken(l.Node)))
        {
            Judge(run);
            string[] standing =
            [
                .. left.Alerts.Split(' ', StringSplitOptions.RemoveEmptyEntries).Where(id => !IsOwed(run, left, id)),
            ];
            if (standing.Length > 0)
            {
                yield return Broken(left, $"still alerts: {string.Join(", ", standing)}");
            }
        }
    }

    /// <summary>Somebody knocks who may not; or the log is shorter than it was, which it will be for ever.</summary>
    private static bool IsOwed(RunRecord run, LeftOver left, string alert) => alert switch
    {
        "unauthorized_access" => run.Of(left.Node).OfType<OddCall>().Any(c => c.AtUs > left.AtUs - KnocksUs),
        "audit_regressed" => run.Had(left.Node, [.. FaultKinds.Tampering, .. FaultKinds.Disk, FaultKinds.TpmRolledBack]),

        // Refused several times, and nothing is due since that could be done.
        "rotation_failing" => !run.Of(left.Node).OfType<Received>().Any(
            r => r.AtUs > left.AtUs - SimWorld.HealUs && r.Action == "confirm-rotation" && r.Verdict == "ok"),

        // It lives no longer than what the alert is given for.
        "certificate_expiring" => run.Plan.Knobs.CertificateS > 0,
        _ => false,
    };
}
