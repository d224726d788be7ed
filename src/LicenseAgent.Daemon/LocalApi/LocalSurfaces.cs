using System.Security.Cryptography.X509Certificates;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.LocalApi.Operators;
using LicenseAgent.Daemon.LocalApi.Peers;
using LicenseAgent.Daemon.LocalApi.SignIn;
using LicenseAgent.Daemon.LocalApi.Validation;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Management;

namespace LicenseAgent.Daemon.LocalApi;

/// <summary>What the local API takes from the agent around it.</summary>
/// <param name="Denied">Told of each connection turned away; for the counter and the alert.</param>
internal sealed record LocalSources(
    LocalContext Context, AgentCommands Commands, IRandomness Randomness, Es256Verify VerifyEs256,
    TokenTagger TagToken, NonceGuard Nonces, ValidationMeter Meter, Action Denied, Func<string> Metrics,
    AuditSources Audit, ReloadCall Reload);

/// <summary>Reads the configuration again and puts it in force, or says every reason why not.</summary>
internal delegate Task<CommandAnswer<ReloadOutcome>> ReloadCall();

/// <summary>One socket's handler and what it does about peers it turns away.</summary>
internal sealed record LocalSurface(LocalHandler Handler, PeerAccess Access, AccessDenials Denials);

/// <summary>Management over HTTPS.</summary>
/// <param name="Judge">Of a certificate in the handshake, with what was sent along; calls judge it again.</param>
internal sealed record HttpsSurface(
    LocalHandler Handler, Func<X509Certificate2, X509Certificate2Collection, Judgement> Judge, AccessDenials Denials);

/// <summary>Both sockets' handlers, ready to be put behind an adapter or called by a simulator.</summary>
/// <param name="Use">Puts another configuration in force and ends every session.</param>
internal sealed record LocalSurfaces(
    LocalSurface Pos, LocalSurface Admin, RepeatedLooks Looks, Action<AgentConfig> Use, HttpsSurface? Https = null)
{
    // Operators and their monitoring; every call costs an audit record, so a runaway script must not fill the disk.
    private const int ManagementRate = 50, ManagementBurst = 200;

    public static LocalSurfaces Create(AgentConfig config, LocalSources sources)
    {
        LocalContext context = sources.Context;
        var recent = new RecentLicenses();
        var posAccess = PeerAccess.Of(config.Pos);
        var adminAccess = PeerAccess.Of(config.Management);
        var pos = new PosApi(
            context, posAccess, new LicenseValidator(sources.Randomness, sources.VerifyEs256, sources.TagToken),
            new RateLimit(config.Pos.Rate, config.Pos.Burst, context.BootClock), sources.Nonces, recent, sources.Meter,
            new LicenseRenewals(sources.Commands.Renew, sources.TagToken));
        var sessions = new Sessions(sources.Randomness, context.BootClock);
        var callers = new Callers(config.Management, sessions);
        var challenges = new Challenges(sources.Randomness, context.BootClock);
        var calls = new ManagementCalls(
            context,
            new ManagementSources(sources.Commands, recent, sources.Metrics, sources.Audit, sources.Reload),
            new SignInCalls(context, callers, challenges, sessions));
        var looks = new RepeatedLooks(context.Journal, context.BootClock);
        AccessDenials adminDenials = Denials(DeniedAt.Admin);
        var management = new ManagementApi(
            context, callers, new RateLimit(ManagementRate, ManagementBurst, context.BootClock), calls,
            peer => adminDenials.Add(peer, Admission.RateLimited), looks);
        return new LocalSurfaces(
            new LocalSurface(pos.HandleAsync, posAccess, Denials(DeniedAt.Pos)),
            new LocalSurface(management.HandleAsync, adminAccess, adminDenials), looks, Use,
            new HttpsSurface(
                management.HandleAsync,
                (certificate, others) => callers.Judge(certificate, others, context.Now().TrustedNow), adminDenials));

        void Use(AgentConfig replaced)
        {
            // Roles first: a session begun in between stands on the new ones and is ended all the same.
            callers.Use(replaced.Management);
            adminAccess.Use(replaced.Management);
            posAccess.Use(replaced.Pos);
            challenges.Clear();
            sessions.EndAll();
        }

        AccessDenials Denials(DeniedAt socket) => new(socket, context.Journal, context.BootClock, sources.Denied);
    }
}
