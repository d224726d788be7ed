using LicenseAgent.Core;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Loop;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.Secrets;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Daemon.Upstream;

/// <summary>A verified answer, its bytes, and when its request was sent.</summary>
/// <param name="TpmClock">Of the request's evidence, where it carried some.</param>
internal sealed record Exchanged(ServerAnswer Answer, byte[] Raw, long SentBootMs, TpmReading? TpmClock);

/// <summary>What an exchange needs to know of the moment it is made in.</summary>
internal sealed record RequestMoment(UtcTime TrustedNow, UtcTime Wall, long? Generation);

/// <summary>
/// Carries out one <see cref="RequestPlan"/>: nonce, time, evidence, proof and signature are made now, the answer is
/// verified before anybody sees it. One at a time; the nonce of this attempt is the only one an answer may carry.
/// </summary>
internal sealed class Exchanger(
    AgentPorts ports, string agentId, TrustedServer server, Till till,
    Func<AuditPoint?, Task<AuditEvidence>> auditEvidence, Func<CancellationToken, Task<byte[]>> certificateRequest,
    Func<ServerConfig> config, string programVersion)
{
    private readonly NonceSource _nonces = new(ports.Randomness, ports.TpmClock);
    private readonly NonceSource _softwareNonces = new(ports.Randomness, null);
    private readonly RequestSigner _signer = new(ports.TpmKeys, ports.Fallback?.Keys);

    /// <summary>The TPM's clock as the latest request reported it.</summary>
    public TpmClockReading? LastClock { get; private set; }

    public async Task<Exchanged> SendAsync(RequestPlan plan, RequestMoment moment, CancellationToken cancel)
    {
        AgentRequest request = await ComposeAsync(plan, moment, cancel);
        byte[] body = plan.Software
            ? await _signer.SignBySoftwareAsync(request, cancel)
            : await _signer.SignAsync(request, cancel);
        long sent = ports.BootClock.BootMs;
        UpstreamAnswer answer = await ports.Upstream.ExchangeAsync(
            "POST", PathOf(plan), body, config().Timeout, cancel);
        return new Exchanged(Read(server, answer, request), answer.Body, sent, ReadingOf(request));
    }

    /// <summary>The verified answer; where there is none, the unsigned wish for patience is kept.</summary>
    /// <exception cref="NoContactException">Not a signed answer of this server to this request.</exception>
    public static ServerAnswer Read(TrustedServer server, UpstreamAnswer answer, AgentRequest request)
    {
        try
        {
            return server.Read(answer.Body, request);
        }
        catch (NoContactException e) when (answer.RetryAfter is not null)
        {
            throw new NoContactException(e.Reason, e.Message, e) { RetryAfter = answer.RetryAfter };
        }
    }

    private async Task<AgentRequest> ComposeAsync(RequestPlan plan, RequestMoment moment, CancellationToken cancel)
    {
        Nonce16 nonce = await (plan.Software ? _softwareNonces : _nonces).NextAsync(cancel);
        string protection = plan.Software ? Protections.Software : Protections.Tpm;
        UtcTime now = moment.TrustedNow;
        switch (plan)
        {
            case RequestPlan.Prepare p:
                return new RotateSecretRequest(
                    agentId, p.RequestId, nonce, now, AgentActions.RotateSecret, p.Intent.Current, p.Intent.Kcv,
                    p.Highest, p.Intent.Reason, protection, await auditEvidence(null),
                    await ClockAsync(plan, moment, cancel));
            case RequestPlan.Confirm c:
                SecretStore store = (plan.Software ? till.Software : till.Secrets)!;
                Digest32 proof = store.ConfirmProof(c.Pending.Entry.Version, agentId, nonce);
                return new ConfirmRotationRequest(
                    agentId, c.RequestId, nonce, now, AgentActions.ConfirmRotation, c.Pending.Entry.Version,
                    c.Pending.Entry.Kcv, proof);
            case RequestPlan.Reject r:
                return new RejectRotationRequest(
                    agentId, r.RequestId, nonce, now, AgentActions.RejectRotation, r.Version, r.Reason);
            case RequestPlan.RenewLicense r:
                return new LicenseRenewalRequest(
                    agentId, r.RequestId, nonce, now, AgentActions.RenewLicense, r.Asked.Token);
            case RequestPlan.RenewCertificate r:
                return new RenewCertificateRequest(
                    agentId, r.RequestId, nonce, now, AgentActions.RenewCertificate,
                    Base64UrlText.Encode(await certificateRequest(cancel)));
            case RequestPlan.CheckIn c:
                return new CheckInRequest(
                    agentId, c.RequestId, nonce, now, AgentActions.CheckIn, c.Mode, c.LockReason, c.ActiveVersion,
                    c.HeldVersions, c.ConfirmPending, protection, c.Tpm, await auditEvidence(c.Witnessed),
                    await ClockAsync(plan, moment, cancel), c.RevocationsVersion, c.KeysetVersion, programVersion,
                    c.RegistersFallback ? till.FallbackKeys : null);
            default:
                throw new InvariantBroken($"{plan} is not a request.");
        }
    }

    private async Task<ClockEvidence> ClockAsync(RequestPlan plan, RequestMoment moment, CancellationToken cancel)
    {
        if (plan.Software)
        {
            return new ClockEvidence(
                moment.Wall, null, null, null, null, ports.BootClock.BootId, ports.BootClock.BootMs);
        }

        TpmClockReading tpm = await ports.TpmClock.ReadClockAsync(cancel);
        LastClock = tpm;
        return new ClockEvidence(
            moment.Wall, tpm.ClockMs, tpm.ResetCount, tpm.RestartCount, moment.Generation,
            ports.BootClock.BootId, ports.BootClock.BootMs);
    }

    private static TpmReading? ReadingOf(AgentRequest request)
    {
        ClockEvidence? clock = request switch
        {
            RotateSecretRequest r => r.Clock,
            CheckInRequest r => r.Clock,
            _ => null,
        };
        return clock is { TpmClockMs: { } ms } ? new TpmReading(ms, clock.BoottimeMs) : null;
    }

    public static string PathOf(RequestPlan plan) => plan switch
    {
        RequestPlan.Prepare => AgentPaths.RotateSecret,
        RequestPlan.Confirm => AgentPaths.ConfirmRotation,
        RequestPlan.Reject => AgentPaths.RejectRotation,
        RequestPlan.RenewLicense => AgentPaths.RenewLicense,
        RequestPlan.CheckIn => AgentPaths.CheckIn,
        RequestPlan.RenewCertificate => AgentPaths.RenewCertificate,
        _ => throw new InvariantBroken($"{plan} has no path."),
    };
}
