using System.Collections.Immutable;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Core;

/// <summary>
/// Conditions somebody should know of. Levels: they are looked at after every event, and only a change is reported, so
/// that each is raised once and cleared once. The change of mode is reported here too.
/// </summary>
internal static class Alerts
{
    public static readonly TimeSpan DegradedTooLong = TimeSpan.FromHours(24);
    private const int RotationFailuresTolerated = 3;
    private static readonly TimeSpan WallBehindTolerated = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan WallAheadTolerated = TimeSpan.FromHours(48);

    public static void OnNoticed(Turn turn, AgentEvent.TroubleNoticed e)
    {
        if (e.Detail is { } detail)
        {
            turn.Trouble(e.Id, detail);
        }
        else
        {
            turn.TroubleOver(e.Id);
        }
    }

    public static void Evaluate(Turn turn)
    {
        ReportMode(turn);
        ImmutableSortedDictionary<string, Alert> before = turn.State.Alerts;
        ImmutableSortedDictionary<string, Alert>.Builder? holds = null;
        foreach ((string id, string severity, string detail) in Conditions(turn))
        {
            holds ??= ImmutableSortedDictionary.CreateBuilder<string, Alert>(StringComparer.Ordinal);
            holds[id] = before.TryGetValue(id, out Alert? old)
                ? old with { Detail = detail }
                : new Alert(severity, turn.TrustedNow, detail);
            if (old is null)
            {
                turn.Audit("alert_raised", id, "ok", durable: false, ("alert", id), ("detail", detail));
            }
        }

        if (holds is null && before.IsEmpty)
        {
            return;
        }

        foreach (string id in before.Keys.Where(id => holds?.ContainsKey(id) != true))
        {
            turn.Audit("alert_cleared", id, "ok", durable: false, ("alert", id));
        }

        turn.State = turn.State with
        {
            Alerts = holds?.ToImmutable() ?? ImmutableSortedDictionary<string, Alert>.Empty,
        };
    }

    private static void ReportMode(Turn turn)
    {
        if (turn.State.Identity is null)
        {
            return;
        }

        ModeFacts facts = Views.Facts(turn.State);
        string mode = ModeText.Of(facts.At(turn.TrustedNow));

        // What was before the restart still stands in the log; loading is no mode anybody can act on.
        bool starting = facts.Lock == LockReason.Starting;
        if (mode != turn.State.Run.Mode && !starting)
        {
            string reason = mode == "LOCKED" && facts.ReasonWhenLocked is { } r ? ModeText.Of(r) : "";
            turn.Audit("mode_changed", mode, "ok", durable: false,
                ("from", turn.State.Run.Mode), ("to", mode), ("reason", reason));
            turn.UpdateRun(run => run with { Mode = mode });
        }
    }

    private static IEnumerable<(string Id, string Severity, string Detail)> Conditions(Turn turn)
    {
        AgentState state = turn.State;
        UtcTime now = turn.TrustedNow;
        ModeFacts facts = Views.Facts(state);
        AgentMode mode = facts.At(now);
        foreach ((string, string, string) given in Given(state))
        {
            yield return given;
        }

        if (state.Run.FailedInARow > RotationFailuresTolerated)
        {
            yield return ("rotation_failing", "error",
                $"{state.Run.FailedInARow} rotation attempts failed in a row. Check the way to the license server.");
        }

        if (state is { Run.DegradedForbidden: true, Settings.DegradedAllowed: true })
        {
            yield return ("degraded_forbidden", "warning",
                "By an operator's order licenses end with the secret's normal life, without grace. "
                + "license-agent-cli degraded on takes it back.");
        }

        if (mode == AgentMode.Degraded && facts.ValidUntil is { } until && now - until > DegradedTooLong)
        {
            yield return ("degraded_long", "error",
                $"No new secret since {until}; validations end at {facts.EffectiveEnd}. Restore the way to the "
                + "server.");
        }

        if (mode == AgentMode.Exhausted)
        {
            yield return ("secret_expired", "critical",
                "The secret has expired without replacement; validations are refused until the server is reached.");
        }

        if (state.Tpm is TpmHealth.Unavailable or TpmHealth.Lockout or TpmHealth.Replaced)
        {
            yield return ("tpm_unavailable", "error", $"The TPM does not serve: {state.TpmDetail}");
        }

        if (state.Lock is LockReason.StateRollback or LockReason.StateCorrupt or LockReason.SecretUnreadable)
        {
            string lost = state.Lock is LockReason.SecretUnreadable
                ? "The file of the secret in use cannot be opened"
                : "The state on disk is not the one the TPM remembers";
            yield return (ModeText.Of(state.Lock.Value), "critical",
                $"{lost}; the agent asks the server to repair it.");
        }

        if (OfTheIdentity(state.Lock) is { } fact)
        {
            yield return (ModeText.Of(state.Lock!.Value), "critical",
                $"{fact}, or enrol the till again: license-agent-cli enroll --replace, with a bundle of license-server "
                + "agents add ID --replace.");
        }

        foreach ((string, string, string) condition in OfTheServer(state, now))
        {
            yield return condition;
        }

        foreach ((string, string, string) condition in TimeConditions(turn))
        {
            yield return condition;
        }
    }

    private static string? OfTheIdentity(LockReason? reason) => reason switch
    {
        LockReason.IdentityDamaged =>
            "agent.json in the state directory is damaged, so this till does not know who it is. Put it back from a "
            + "backup and restart the agent",
        LockReason.CertificateDamaged =>
            "tls.pem in the state directory is damaged or missing, so this till cannot show the server who it is. Put "
            + "it back from a backup",
        _ => null,
    };

    private static IEnumerable<(string Id, string Severity, string Detail)> TimeConditions(Turn turn)
    {
        AgentState state = turn.State;
        UtcTime now = turn.TrustedNow;
        if (state.Watch.IsRunPutBack)
        {
            yield return ("run_state_rollback", "error",
                "run.json was missing or older than what the TPM remembers; 6 h are charged against the grace period "
                + "until the server is reached. Look for who restored files of the state directory.");
        }

        if (Certificates.Expiring(state, now) is { } expiring)
        {
            yield return ("certificate_expiring", "warning", expiring);
        }

        if (state.Identity is not null && now - turn.Now.Wall > WallBehindTolerated)
        {
            yield return ("clock_rollback", "warning",
                $"The wall clock is {now - turn.Now.Wall} behind trusted now. Set the till's clock.");
        }

        if (state.Identity is not null && turn.Now.Wall - now > WallAheadTolerated)
        {
            yield return ("clock_jump", "warning",
                $"The wall clock is {turn.Now.Wall - now} ahead of trusted now. Set the till's clock or let "
                + "it contact the server.");
        }
    }

    private static IEnumerable<(string Id, string Severity, string Detail)> OfTheServer(AgentState state, UtcTime now)
    {
        if (state.KeysetUpdateBy is { } updateBy && now >= updateBy)
        {
            yield return ("keyset_overdue", "warning",
                $"The server's keyset should have been replaced by {updateBy}. Run keys rotate on the server.");
        }

        if (state.ReEnrollAsked)
        {
            yield return ("re_enroll_asked", "warning", "The server's operator wants this till enrolled anew.");
        }
    }

    /// <summary>What events have set, and the one weakness that nobody may overlook.</summary>
    private static IEnumerable<(string Id, string Severity, string Detail)> Given(AgentState state)
    {
        foreach ((string id, string detail) in state.Troubles)
        {
            yield return (id, "warning", detail);
        }

        if (Views.SoftwareActive(state) is { } software)
        {
            yield return ("software_fallback", "error",
                $"Version {software.Version} is protected by the key file alone, because the TPM is lost. Repair the "
                + "TPM; its next request to the server ends this.");
        }
    }
}
