using LicenseAgent.Core;
using LicenseAgent.Daemon.Audit;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.LocalApi;
using LicenseAgent.Daemon.LocalApi.Operators;
using LicenseAgent.Daemon.LocalApi.Validation;
using LicenseAgent.Daemon.Loop;
using LicenseAgent.Daemon.Metrics;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.Replay;
using LicenseAgent.Daemon.State;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Daemon;

/// <summary>
/// Connects the local API to loop, audit log, replay guard and metrics; it knows none of them by type.
/// </summary>
internal static class LocalWiring
{
    // An attempt raises the alert for this long; each further one prolongs it.
    private static readonly TimeSpan DenialAlert = TimeSpan.FromHours(1);

    public static LocalSurfaces Connect(
        AgentConfig config, AgentPorts ports, Till till, AgentLoop loop, ReplayGuard replay, AgentMetrics metrics,
        ReloadCall reload)
    {
        LocalContext context = new(
            () => loop.Snapshot, ports.BootClock, ports.Time, LocalJournal.Over(till.Audit));
        return LocalSurfaces.Create(config, new LocalSources(
            context, loop.Tickets.Commands(), ports.Randomness, ports.VerifyEs256,
            token => TagOf(till, token), replay.TryAccept, metrics.Validated, Denials(ports, loop, metrics),
            metrics.Render,
            new AuditSources(till.AuditReader.Page, cancel => Task.FromResult(Verify(till, ports))), reload));
    }

    private static TokenTag TagOf(Till till, ReadOnlySpan<byte> token)
    {
        // Before enrolment nothing can be valid, and there is no key yet to hide tokens with.
        Span<byte> key = stackalloc byte[Digest32.Length];
        (till.Agent?.AuditKey ?? default).CopyTo(key);
        return TokenTag.Of(key, token);
    }

    private static Action Denials(AgentPorts ports, AgentLoop loop, AgentMetrics metrics)
    {
        const string id = "unauthorized_access";
        ITimer over = ports.Time.CreateTimer(
            _ => loop.Post(new AgentEvent.TroubleNoticed(id, null)), null,
            Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        return () =>
        {
            metrics.AccessDenied();
            if (over.Change(DenialAlert, Timeout.InfiniteTimeSpan) && !loop.Snapshot.Status.Alerts.Any(a => a.Id == id))
            {
                loop.Post(new AgentEvent.TroubleNoticed(
                    id, "A process that is not allowed tried to connect; license-agent-cli audit tail names its UID."));
            }
        };
    }

    /// <summary>The whole log as it stands now, against this till's key and what the server witnessed.</summary>
    private static AuditVerifyResponse Verify(Till till, AgentPorts ports)
    {
        AuditIdentity identity = till.Audit.Identity;
        using AuditVerifier verifier = new(new AuditTrust(
            identity.AgentId, identity.Key, ports.VerifyEs256,
            till.Witnessed is { } witnessed ? [new AuditAnchor("witness of the server", witnessed)] : []));
        return till.AuditReader.Verify(verifier);
    }
}
