using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.LocalApi.Operators;
using LicenseAgent.Daemon.LocalApi.Peers;
using LicenseAgent.Daemon.LocalApi.Validation;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Jose;

namespace LicenseAgent.Daemon.LocalApi;

/// <summary>What the local API takes from the agent around it.</summary>
/// <param name="Denied">Told of each connection turned away; for the counter and the alert.</param>
internal sealed record LocalSources(
    LocalContext Context, AgentCommands Commands, IRandomness Randomness, Es256Verify VerifyEs256,
    TokenTagger TagToken, NonceGuard Nonces, ValidationMeter Meter, Action Denied, Func<string> Metrics,
    AuditSources Audit);

/// <summary>One socket's handler and what it does about peers it turns away.</summary>
internal sealed record LocalSurface(LocalHandler Handler, PeerAccess Access, AccessDenials Denials);

/// <summary>Both sockets' handlers, ready to be put behind an adapter or called by a simulator.</summary>
internal sealed record LocalSurfaces(LocalSurface Pos, LocalSurface Admin)
{
    // Operators and their monitoring; every call costs an audit record, so a runaway script must not fill the disk.
    private const int ManagementRate = 50, ManagementBurst = 200;

    public static LocalSurfaces Create(AgentConfig config, LocalSources sources)
    {
        LocalContext context = sources.Context;
        var recent = new RecentLicenses();
        var pos = new PosApi(
            context, new LicenseValidator(sources.Randomness, sources.VerifyEs256, sources.TagToken),
            new RateLimit(config.Pos.Rate, config.Pos.Burst, context.BootClock), sources.Nonces, recent, sources.Meter);
        var calls = new ManagementCalls(context, new ManagementSources(
            sources.Commands, recent, sources.Metrics, sources.Audit));
        var management = new ManagementApi(
            context, new Roles(config.Management),
            new RateLimit(ManagementRate, ManagementBurst, context.BootClock), calls);
        return new LocalSurfaces(
            new LocalSurface(pos.HandleAsync, PeerAccess.Of(config.Pos), Denials(DeniedAt.Pos)),
            new LocalSurface(management.HandleAsync, PeerAccess.Of(config.Management), Denials(DeniedAt.Admin)));

        AccessDenials Denials(DeniedAt socket) => new(socket, context.Journal, context.BootClock, sources.Denied);
    }
}
