using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Messages;
using LicenseServer.Keys;

namespace LicenseServer.Agents;

/// <summary>
/// Turns an outcome into the signed answer to one attempt: this nonce, this moment, and for a secret a wrapping made
/// now.
/// </summary>
internal sealed class AnswerWriter(ServerKeys signers, VersionKeys keys, TimeProvider time)
{
    public const string Signed = "application/jose";
    private const string Plain = "text/plain; charset=utf-8";

    /// <summary>What an answer echoes.</summary>
    internal readonly record struct Echo(string AgentId, string RequestId, Nonce16 Nonce, string Action)
    {
        public static Echo Of(AgentRequest request, string action) =>
            new(request.AgentId, request.RequestId, request.Nonce, action);
    }

    /// <param name="decryption">The key to which a secret is wrapped; null where the outcome holds none.</param>
    public AgentReply Write(Outcome outcome, Echo to, RsaPublicJwk? decryption = null)
    {
        var status = outcome is Outcome.Refused refused ? ServerErrors.StatusOf(refused.Error) : 200;
        var payload = Payload(outcome, to, UtcTime.From(time.GetUtcNow()), decryption);
        var retryAfter = (outcome as Outcome.Refused)?.RetryAfterS;
        var signed = signers.Response.CreateJws(JoseTypes.ServerResponse, payload);
        return new AgentReply(status, Signed, signed, retryAfter);
    }

    public static AgentReply Write(Outcome.Unsigned outcome) => new(
        outcome.HttpStatus, Plain, System.Text.Encoding.UTF8.GetBytes(outcome.Detail + "\n"), outcome.RetryAfterS);

    private byte[] Payload(Outcome outcome, Echo to, UtcTime now, RsaPublicJwk? decryption)
    {
        var wire = AnswerJsonContext.Wire;
        return outcome switch
        {
            Outcome.Prepared prepared => StrictJson.Write(
                Prepared(prepared, to, now, decryption), wire.RotateSecretAnswer),
            Outcome.Confirmed confirmed => StrictJson.Write(
                new ConfirmRotationAnswer(
                    to.AgentId, to.RequestId, to.Nonce, to.Action, now, confirmed.Version, confirmed.ValidFrom,
                    confirmed.ValidUntil, confirmed.GraceUntil, confirmed.Previous, confirmed.MinValidVersion),
                wire.ConfirmRotationAnswer),
            Outcome.Rejected rejected => StrictJson.Write(
                new RejectRotationAnswer(to.AgentId, to.RequestId, to.Nonce, to.Action, now, rejected.Version),
                wire.RejectRotationAnswer),
            Outcome.CheckedIn checkedIn => StrictJson.Write(
                new CheckInAnswer(
                    to.AgentId, to.RequestId, to.Nonce, to.Action, now, checkedIn.Directives, checkedIn.KeysetVersion,
                    checkedIn.Witness, checkedIn.NextCheckInS, checkedIn.Revocations, checkedIn.Fallback),
                wire.CheckInAnswer),
            Outcome.Enrolled enrolled => StrictJson.Write(
                new EnrollAnswer(
                    to.AgentId, to.RequestId, to.Nonce, to.Action, now, enrolled.CertificateChain, enrolled.Policy,
                    enrolled.HighestVersion),
                wire.EnrollAnswer),
            Outcome.Validated { Judgement: var judged } => StrictJson.Write(
                new LicenseValidationAnswer(
                    to.AgentId, to.RequestId, to.Nonce, to.Action, now, judged.IsValid, judged.Reason,
                    judged.Claims is { } claims ? UtcTime.FromUnixSeconds(claims.Exp) : null,
                    judged.Claims?.Features, judged.Claims?.Metadata),
                wire.LicenseValidationAnswer),
            Outcome.Renewed renewed => StrictJson.Write(
                new LicenseRenewalAnswer(
                    to.AgentId, to.RequestId, to.Nonce, to.Action, now, renewed.Token, renewed.Version),
                wire.LicenseRenewalAnswer),
            Outcome.CertificateRenewed certificate => StrictJson.Write(
                new RenewCertificateAnswer(
                    to.AgentId, to.RequestId, to.Nonce, to.Action, now, certificate.CertificateChain),
                wire.RenewCertificateAnswer),
            Outcome.Status status => StrictJson.Write(
                new SecretStatusAnswer(to.AgentId, to.RequestId, to.Nonce, to.Action, now, status.Versions),
                wire.SecretStatusAnswer),
            Outcome.Refused refused => StrictJson.Write(
                new RefusalAnswer(
                    to.AgentId, to.RequestId, to.Nonce, to.Action, now, refused.Error, refused.Detail,
                    refused.RetryAfterS, refused.ActiveVersion, refused.HighestVersion),
                wire.RefusalAnswer),
            _ => throw new InvalidOperationException($"{outcome.GetType().Name} is never signed"),
        };
    }

    private RotateSecretAnswer Prepared(Outcome.Prepared prepared, Echo to, UtcTime now, RsaPublicJwk? decryption)
    {
        var key = decryption ?? throw new InvalidOperationException("a secret is answered to a known key only");
        return new RotateSecretAnswer(
            to.AgentId, to.RequestId, to.Nonce, to.Action, now, prepared.Version, prepared.Kcv,
            keys.Wrap(to.AgentId, prepared.Version, prepared.Epoch, key),
            prepared.ValidFrom, prepared.ValidUntil, prepared.GraceUntil, prepared.ConfirmBy);
    }
}
