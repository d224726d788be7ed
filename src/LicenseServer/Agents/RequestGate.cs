using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Messages;
using LicensePki;
using LicenseServer.Storage;

namespace LicenseServer.Agents;

/// <summary>
/// The first checks of a signed request, in the order that the protocol fixes: certificate, name, signature, then
/// time. What comes before the signature is answered unsigned, because nobody has proven anything yet; the nonce and
/// what follows need the database and are checked in the request's transaction (<see cref="AgentApi"/>).
/// </summary>
internal sealed class RequestGate(Database database, Es256Verify verify, RateLimit rate, TimeProvider time)
{
    private const string FallbackSuffix = "#fallback";

    /// <summary>The request and the key that signed it, or the outcome that ends it here.</summary>
    internal readonly record struct Passage(AgentRequest? Request, AgentKeyRow? Key, Outcome? Ended);

    public Passage Enter(AgentCall call, string action)
    {
        if (!TryAgent(call, out var agentId, out var ended)) return new Passage(null, null, ended);
        if (!CompactJws.TryParse(call.Body.Span, JoseTypes.AgentRequest, AgentApiLimits.RequestBytes, out var jws))
            return Unsigned(400, "the body is not a signed request of an agent");
        var isFallback = jws.Kid == agentId + FallbackSuffix;
        if (jws.Kid != agentId && !isFallback) return Unsigned(403, "the signature names another agent");

        var key = database.Read(session => KeyRows.Find(session, agentId, isFallback));
        if (key is null ? isFallback : !jws.IsSignedBy(key.Keys.Signing, verify))
            return Unsigned(403, "the signature is not that of a key of this agent");
        try
        {
            var request = RequestShape.Read(action, jws.Payload);
            return request.AgentId == agentId
                ? new Passage(request, key, Judge(call, request, key))
                : Unsigned(403, "the request names another agent than the certificate");
        }
        catch (ProtocolException error)
        {
            return Unsigned(400, error.Message);
        }
    }

    /// <summary>Enrolment comes without a certificate: it is signed by the key that it brings.</summary>
    public Passage EnterEnrollment(AgentCall call)
    {
        if (!CompactJws.TryParse(call.Body.Span, JoseTypes.AgentRequest, AgentApiLimits.RequestBytes, out var jws))
            return Unsigned(400, "the body is not a signed request of an agent");
        try
        {
            var request = (EnrollRequest)RequestShape.Read(AgentActions.Enroll, jws.Payload);
            if (request.AgentId != jws.Kid || !jws.IsSignedBy(request.Keys.Signing, verify))
                return Unsigned(403, "the request is not signed by the key that it brings");
            var ended = Limit("enroll|" + call.Remote) ?? Skew(request);
            return new Passage(request, null, ended);
        }
        catch (ProtocolException error)
        {
            return Unsigned(400, error.Message);
        }
    }

    /// <summary>The agent that the client certificate names, for what needs no signature.</summary>
    public bool TryAgent(AgentCall call, out string agentId, out Outcome? ended)
    {
        agentId = "";
        ended = new Outcome.Unsigned(401, "a client certificate is required");
        if (call.Certificate is not { } certificate) return false;
        ended = new Outcome.Unsigned(403, "the client certificate names no agent");
        try
        {
            if (AlternativeNames.AgentIdOf(certificate) is not { } named || !AgentId.IsValid(named)) return false;
            agentId = named;
        }
        catch (PkiException)
        {
            // Names that cannot be read are the same answer as no name.
            return false;
        }

        ended = null;
        return true;
    }

    /// <summary>A certificate whose time is over opens check-in and renewal, and nothing else.</summary>
    public Outcome? Expiry(AgentCall call, string action) =>
        action is not (AgentActions.CheckIn or AgentActions.RenewCertificate)
        && call.Certificate!.NotAfter < time.GetUtcNow().LocalDateTime
            ? new Outcome.Refused(ServerErrors.CertificateExpired, "the client certificate has expired; renew it")
            : null;

    public Outcome? Limit(string sender) => rate.Take(sender) is > 0 and var seconds
        ? new Outcome.Refused(ServerErrors.RateLimited, "too many requests") { RetryAfterS = seconds }
        : null;

    private Outcome? Judge(AgentCall call, AgentRequest request, AgentKeyRow? key)
    {
        if (key is null) return new Outcome.Refused(ServerErrors.AgentUnknown, "this agent is not enrolled here");
        return Expiry(call, RequestShape.ActionOf(call.Path)!) ?? Limit("agent|" + request.AgentId) ?? Skew(request);
    }

    private Outcome.Refused? Skew(AgentRequest request)
    {
        var now = UtcTime.From(time.GetUtcNow());
        return (request.Timestamp - now).Duration() > AgentApiLimits.ClockSkew
            ? new Outcome.Refused(ServerErrors.ClockSkew, "the request's time is more than 300 s from the server's")
            : null;
    }

    private static Passage Unsigned(int status, string detail) => new(null, null, new Outcome.Unsigned(status, detail));
}
