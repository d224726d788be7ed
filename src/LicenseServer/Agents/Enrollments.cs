using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using LicensePki;
using LicenseServer.Rules;
using LicenseServer.Storage;

namespace LicenseServer.Agents;

/// <summary>
/// Enrolment: a token, known here by its hash, is bound to the first signing key that uses it. The same key gets the
/// same answer for 24 hours, so that a lost answer costs nothing; another key gets a refusal and an alert.
/// </summary>
internal sealed class Enrollments(
    Database database, CertificateAuthority authority, Policy policy, bool wantsApproval, TimeProvider time)
{
    /// <summary>How soon a till that waits for an operator asks again.</summary>
    private const int ApprovalRetryS = 15;

    private static readonly TimeSpan Repeatable = TimeSpan.FromHours(24);

    /// <summary>What was found out before the transaction: a certificate is signed outside of it, for it takes a
    /// while.</summary>
    internal sealed record Candidate(
        EnrollRequest Request, Digest32 TokenHash, string Thumbprint, string? Certificate, Outcome? Ended);

    public Candidate Begin(EnrollRequest request)
    {
        var tokenBytes = new byte[Digest32.Length];
        request.EnrollmentToken.CopyTo(tokenBytes);
        var hash = Digest32.Sha256(tokenBytes);
        var thumbprint = request.Keys.Signing.Thumbprint().ToString();
        var candidate = new Candidate(request, hash, thumbprint, null, null);
        var known = database.Read(session => EnrollmentRows.Find(session, hash));

        // Unknown tokens end here: they must cost neither a signature by the CA nor a row in the database.
        if (known?.AgentId != request.AgentId) return candidate with { Ended = Refused("unknown token") };
        if (known.Thumbprint is not null) return candidate;
        if (!Base64UrlText.TryDecode(request.Csr, out var csr))
            return candidate with { Ended = Refused("the certificate request is not base64url") };
        try
        {
            using var certificate = authority.IssueAgent(csr, request.AgentId);
            return candidate with { Certificate = Base64UrlText.Encode(certificate.RawData) };
        }
        catch (PkiException error)
        {
            return candidate with { Ended = Refused(error.Message) };
        }
    }

    public Outcome Complete(SqlSession session, Candidate candidate)
    {
        var now = UtcTime.From(time.GetUtcNow());
        var request = candidate.Request;
        if (EnrollmentRows.Find(session, candidate.TokenHash) is not { } token
            || AgentRows.Find(session, request.AgentId) is not { } agent)
        {
            return Refused("unknown token");
        }

        if (!RequestRows.TakeNonce(session, request.AgentId, request.Nonce, now))
            return new Outcome.Refused(ServerErrors.Replay, "this nonce was used before");
        if (token.Thumbprint is not null) return Repeat(session, candidate, token, now);
        if (token.Expires <= now) return Refused("the token has expired; make a new bundle");
        if (agent.Suspended) return Refused("this agent is suspended");
        if (wantsApproval && token.Approved != candidate.Thumbprint) return Wait(session, candidate, token, now);
        return Enroll(session, candidate, agent, now);
    }

    /// <summary>A refusal that the agent takes as "again later": its keys and its request stay.</summary>
    private static Outcome.Refused Wait(SqlSession session, Candidate candidate, EnrollmentRow token, UtcTime now)
    {
        if (token.Waiting != candidate.Thumbprint)
        {
            EnrollmentRows.SetWaiting(session, candidate.TokenHash, candidate.Thumbprint);
            AuditChain.Append(
                session, now, token.AgentId, token.AgentId, "enrollment_waits", ("thumbprint", candidate.Thumbprint));
        }

        return new Outcome.Refused(
            ServerErrors.RateLimited,
            $"an operator must compare the signing key {candidate.Thumbprint} and run `agents approve`")
        {
            RetryAfterS = ApprovalRetryS,
        };
    }

    /// <summary>
    /// A client certificate anew. Who asks has signed with the key in its TPM, so the certificate that carried the
    /// request may be expired.
    /// </summary>
    public Outcome Renew(SqlSession session, RenewCertificateRequest request, UtcTime now)
    {
        if (!Base64UrlText.TryDecode(request.Csr, out var csr))
            return new Outcome.Unsigned(400, "the certificate request is not base64url");
        try
        {
            using var certificate = authority.IssueAgent(csr, request.AgentId);
            AuditChain.Append(
                session, now, request.AgentId, request.AgentId, "certificate_renewed",
                ("serial", certificate.SerialNumber),
                ("not_after", UtcTime.From(new DateTimeOffset(certificate.NotAfter)).ToString()));
            return new Outcome.CertificateRenewed([Base64UrlText.Encode(certificate.RawData)]);
        }
        catch (PkiException error)
        {
            return new Outcome.Unsigned(400, error.Message);
        }
    }

    private static Outcome Repeat(SqlSession session, Candidate candidate, EnrollmentRow token, UtcTime now)
    {
        if (token.Thumbprint != candidate.Thumbprint)
        {
            AuditChain.Append(
                session, now, token.AgentId, token.AgentId, "token_reused", ("thumbprint", candidate.Thumbprint));
            return Refused("the token was used by another machine");
        }

        return token.Bound is { } bound && now < bound + Repeatable
            ? OutcomeJsonContext.Read(token.Outcome!)
            : Refused("the token was used; make a new bundle");
    }

    private Outcome.Enrolled Enroll(SqlSession session, Candidate candidate, AgentRow agent, UtcTime now)
    {
        var agentId = agent.AgentId;
        var before = KeyRows.Find(session, agentId, isFallback: false);
        var ended = 0L;
        foreach (var row in VersionRows.Live(session, agentId))
        {
            var state = row.State == VersionState.Pending ? VersionState.Burned : VersionState.Invalidated;
            VersionRows.SetState(session, agentId, row.Version, state);
            ended++;
        }

        KeyRows.Replace(session, agentId, candidate.Request.Keys, now);
        WitnessRows.Forget(session, agentId);
        ClockRows.Forget(session, agentId);
        AgentRows.SetEnrolled(session, agentId, now);
        var outcome = new Outcome.Enrolled(
            [candidate.Certificate ?? throw new InvalidOperationException("no certificate was issued")],
            policy.ToWire(), agent.Highest);
        EnrollmentRows.Bind(
            session, candidate.TokenHash, candidate.Thumbprint, OutcomeJsonContext.Write(outcome), now);
        AuditChain.Append(
            session, now, agentId, agentId, "agent_enrolled",
            ("thumbprint", candidate.Thumbprint), ("highest_version", agent.Highest),
            ("srk_name", candidate.Request.SrkName), ("replaced", before?.Thumbprint ?? ""), ("versions_ended", ended));
        return outcome;
    }

    private static Outcome.Refused Refused(string detail) => new(ServerErrors.EnrollmentRefused, detail);
}
