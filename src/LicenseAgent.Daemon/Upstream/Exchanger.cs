using LicenseAgent.Core;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.Secrets;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Daemon.Upstream;

/// <summary>A verified answer, its bytes, and when its request was sent.</summary>
internal sealed record Exchanged(ServerAnswer Answer, byte[] Raw, long SentBootMs);

/// <summary>What an exchange needs to know of the moment it is made in.</summary>
internal sealed record RequestMoment(UtcTime TrustedNow, UtcTime Wall, long? Generation);

/// <summary>
/// Carries out one <see cref="RequestPlan"/>: nonce, time, evidence, proof and signature are made now, the answer is
/// verified before anybody sees it. One at a time; the nonce of this attempt is the only one an answer may carry.
/// </summary>
internal sealed class Exchanger(
    AgentPorts ports, string agentId, TrustedServer server, SecretStore secrets,
    Func<AuditPoint?, Task<AuditEvidence>> auditEvidence, TimeSpan timeout, string programVersion)
{
    private readonly NonceSource _nonces = new(ports.Randomness, ports.TpmClock);
    private readonly RequestSigner _signer = new(ports.TpmKeys);

    /// <summary>The TPM's clock as the latest request reported it.</summary>
    public TpmClockReading? LastClock { get; private set; }

    public async Task<Exchanged> SendAsync(RequestPlan plan, RequestMoment moment, CancellationToken cancel)
    {
        AgentRequest request = await ComposeAsync(plan, moment, cancel);
        byte[] body = await _signer.SignAsync(request, cancel);
        long sent = ports.BootClock.BootMs;
        UpstreamAnswer answer = await ports.Upstream.ExchangeAsync("POST", PathOf(plan), body, timeout, cancel);
        try
        {
            return new Exchanged(server.Read(answer.Body, request), answer.Body, sent);
        }
        catch (NoContactException e) when (answer.RetryAfter is not null)
        {
            throw new NoContactException(e.Reason, e.Message, e) { RetryAfter = answer.RetryAfter };
        }
    }

    private async Task<AgentRequest> ComposeAsync(RequestPlan plan, RequestMoment moment, CancellationToken cancel)
    {
        Nonce16 nonce = await _nonces.NextAsync(cancel);
        UtcTime now = moment.TrustedNow;
        switch (plan)
        {
            case RequestPlan.Prepare p:
                return new RotateSecretRequest(
                    agentId, p.RequestId, nonce, now, AgentActions.RotateSecret, p.Intent.Current, p.Intent.Kcv,
                    p.Highest, p.Intent.Reason, Protections.Tpm, await auditEvidence(null),
                    await ClockAsync(moment, cancel));
            case RequestPlan.Confirm c:
                Digest32 proof = secrets.ConfirmProof(c.Pending.Entry.Version, agentId, nonce);
                return new ConfirmRotationRequest(
                    agentId, c.RequestId, nonce, now, AgentActions.ConfirmRotation, c.Pending.Entry.Version,
                    c.Pending.Entry.Kcv, proof);
            case RequestPlan.Reject r:
                return new RejectRotationRequest(
                    agentId, r.RequestId, nonce, now, AgentActions.RejectRotation, r.Version, r.Reason);
            case RequestPlan.RenewLicense r:
                return new LicenseRenewalRequest(
                    agentId, r.RequestId, nonce, now, AgentActions.RenewLicense, r.Asked.Token);
            case RequestPlan.CheckIn c:
                return new CheckInRequest(
                    agentId, c.RequestId, nonce, now, AgentActions.CheckIn, c.Mode, c.LockReason, c.ActiveVersion,
                    c.HeldVersions, c.ConfirmPending, Protections.Tpm, c.Tpm, await auditEvidence(c.Witnessed),
                    await ClockAsync(moment, cancel), c.RevocationsVersion, c.KeysetVersion, programVersion);
            default:
                throw new InvariantBroken($"{plan} is not a request.");
        }
    }

    private async Task<ClockEvidence> ClockAsync(RequestMoment moment, CancellationToken cancel)
    {
        TpmClockReading tpm = await ports.TpmClock.ReadClockAsync(cancel);
        LastClock = tpm;
        return new ClockEvidence(
            moment.Wall, tpm.ClockMs, tpm.ResetCount, tpm.RestartCount, moment.Generation,
            ports.BootClock.BootId, ports.BootClock.BootMs);
    }

    private static string PathOf(RequestPlan plan) => plan switch
    {
        RequestPlan.Prepare => AgentPaths.RotateSecret,
        RequestPlan.Confirm => AgentPaths.ConfirmRotation,
        RequestPlan.Reject => AgentPaths.RejectRotation,
        RequestPlan.RenewLicense => AgentPaths.RenewLicense,
        RequestPlan.CheckIn => AgentPaths.CheckIn,
        _ => throw new InvariantBroken($"{plan} has no path."),
    };
}
