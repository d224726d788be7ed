using System.Globalization;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using LicenseServer.Agents.Fallback;
using LicenseServer.Licenses;
using LicenseServer.Rules;
using LicenseServer.Storage;

namespace LicenseServer.Agents;

/// <summary>
/// The agent API without HTTP: one call in, one answer out. Every signed request runs in one write transaction:
/// nonce, stored outcome, rules, audit and new outcome are durable together or not at all, before the answer is made.
/// </summary>
internal sealed class AgentApi(
    Database database, RequestGate gate, RotationActions rotation, CheckIns checkIns, LicenseActions licenses,
    Enrollments enrollments, SoftwareFallback fallback, AnswerWriter answers, Tally tally, TimeProvider time)
{
    private const int StatusVersionsMax = 64;
    private static readonly Outcome.Unsigned NotFound = new(404, "there is no such endpoint");
    private static readonly Outcome.Unsigned Busy = new(503, "too many requests are waiting") { RetryAfterS = 1 };

    public async Task<AgentReply> HandleAsync(AgentCall call)
    {
        var reply = (call.Method, RequestShape.ActionOf(call.Path)) switch
        {
            ("POST", AgentActions.Enroll) => await EnrollAsync(call),
            ("POST", { } action) => await SignedAsync(call, action),
            ("GET", null) when call.Path == AgentPaths.SecretStatus => SecretStatus(call),
            ("GET", null) when call.Path == AgentPaths.Keyset => Keysets(call),
            _ => AnswerWriter.Write(NotFound),
        };
        tally.Answered(call.Path, reply.Status);
        return reply;
    }

    private async Task<AgentReply> SignedAsync(AgentCall call, string action)
    {
        var (request, key, ended) = gate.Enter(call, action);
        ended ??= await InTransactionAsync(session => Run(session, request!, key!, action));
        return Reply(ended, request, action, key);
    }

    private async Task<AgentReply> EnrollAsync(AgentCall call)
    {
        var (request, _, ended) = gate.EnterEnrollment(call);
        if (ended is null)
        {
            var enroll = enrollments.Begin((EnrollRequest)request!);
            ended = enroll.Ended ?? await InTransactionAsync(session => enrollments.Complete(session, enroll));
        }

        return Reply(ended, request, AgentActions.Enroll, key: null);
    }

    private AgentReply Reply(Outcome outcome, AgentRequest? request, string action, AgentKeyRow? key) =>
        outcome is Outcome.Unsigned unsigned
            ? AnswerWriter.Write(unsigned)
            : answers.Write(outcome, AnswerWriter.Echo.Of(request!, action), key?.Keys.Decryption);

    private async Task<Outcome> InTransactionAsync(Func<SqlSession, Outcome> work)
    {
        try
        {
            return await database.WriteAsync(work);
        }
        catch (WriteQueueFullException)
        {
            tally.Shed();
            return Busy;
        }
    }

    private Outcome Run(SqlSession session, AgentRequest request, AgentKeyRow key, string action)
    {
        var now = UtcTime.From(time.GetUtcNow());
        if (!RequestRows.TakeNonce(session, request.AgentId, request.Nonce, now))
            return new Outcome.Refused(ServerErrors.Replay, "this nonce was used before");
        if (request.Action != action) return new Outcome.Unsigned(400, "the action does not belong to the endpoint");
        if (AgentRows.Find(session, request.AgentId) is not { } agent)
            return new Outcome.Refused(ServerErrors.AgentUnknown, "this agent is not enrolled here");
        if (fallback.Judge(session, key, request, now) is { } refused) return refused;

        // A check-in reports and is told levels: answering it again is answering it, so nothing is kept of it.
        if (request is CheckInRequest report)
        {
            agent = CheckIns.JudgeClones(session, agent, key, report.Timestamp, report.Clock, now);
            return checkIns.CheckIn(session, agent, report, key.IsFallback, now);
        }

        if (request is RotateSecretRequest rotate)
            agent = CheckIns.JudgeClones(session, agent, key, rotate.Timestamp, rotate.Clock, now);
        return Barred(agent) ?? request switch
        {
            LicenseValidationRequest validation => licenses.Validate(session, agent, validation, now),
            RenewCertificateRequest certificate => enrollments.Renew(session, certificate, now),
            LicenseRenewalRequest renewal => licenses.Renew(session, agent, renewal, now),
            _ => RunOnce(session, agent, request, key, now),
        };
    }

    /// <summary>What bars an agent from everything but its check-in.</summary>
    private static Outcome.Refused? Barred(AgentRow agent) => agent switch
    {
        { Suspended: true } => new Outcome.Refused(ServerErrors.AgentSuspended, "this agent is suspended"),
        { CloneSince: not null } => new Outcome.Refused(
            ServerErrors.CloneSuspect, $"two machines seem to have this identity ({agent.CloneEvidence})"),
        _ => null,
    };

    /// <summary>The stored outcome of a retry, or the action and then its outcome stored.</summary>
    private Outcome RunOnce(SqlSession session, AgentRow agent, AgentRequest request, AgentKeyRow key, UtcTime now)
    {
        var operation = RequestShape.OperationOf(request);
        if (RequestRows.Find(session, agent.AgentId, request.RequestId, now) is { } known)
        {
            if (known.Action != request.Action || known.Operation != operation)
            {
                AuditChain.Append(
                    session, now, agent.AgentId, agent.AgentId, "request_mismatch", ("request_id", request.RequestId));
                return new Outcome.Refused(ServerErrors.RequestMismatch, "this request id was used for something else");
            }

            if (known.Outcome is { } json) return OutcomeJsonContext.Read(json);
        }

        var outcome = Act(session, agent, request, key, now);
        var stored = outcome is Outcome.Refused ? null : OutcomeJsonContext.Write(outcome);
        var isRecovery = stored is not null && request is RotateSecretRequest { Reason: RotationReasons.Recovery };
        RequestRows.Put(
            session, agent.AgentId, request.RequestId,
            new RequestRow(request.Action, operation, stored, isRecovery), now);
        return outcome;
    }

    private Outcome Act(SqlSession session, AgentRow agent, AgentRequest request, AgentKeyRow key, UtcTime now)
    {
        switch (request)
        {
            case RotateSecretRequest rotate:
                CheckIns.Witness(session, agent, rotate.Audit, rotate.Timestamp, now);
                return rotation.Prepare(session, agent, rotate, key.IsFallback, now);
            case ConfirmRotationRequest confirm:
                return rotation.Confirm(session, agent, confirm, key.IsFallback, now);
            case RejectRotationRequest reject:
                return rotation.Reject(session, agent, reject, now);
            default:
                throw new InvalidOperationException($"{request.GetType().Name} is no signed action");
        }
    }

    // A GET may be repeated by the client's HTTP stack, so its nonce is an echo and nothing more.
    private AgentReply SecretStatus(AgentCall call)
    {
        if (!gate.TryAgent(call, out var agentId, out var ended)) return AnswerWriter.Write((Outcome.Unsigned)ended!);
        if (!Nonce16.TryParse(QueryValue(call.Query, "nonce"), out var nonce))
            return AnswerWriter.Write(new Outcome.Unsigned(400, "the query needs nonce=<22 characters of base64url>"));
        var echo = new AnswerWriter.Echo(agentId, "", nonce, AgentActions.SecretStatus);
        ended = gate.Expiry(call, AgentActions.SecretStatus) ?? gate.Limit("agent|" + agentId);
        return answers.Write(ended ?? database.Read(session => Status(session, agentId)), echo);
    }

    private Outcome Status(SqlSession session, string agentId)
    {
        if (AgentRows.Find(session, agentId) is not { Enrolled: not null } agent)
            return new Outcome.Refused(ServerErrors.AgentUnknown, "this agent is not enrolled here");
        if (Barred(agent) is { } barred) return barred;
        var now = UtcTime.From(time.GetUtcNow());
        var versions = VersionRows.Latest(session, agentId, StatusVersionsMax);
        return new Outcome.Status([.. versions.Select(row => ToStatus(row, now))]);
    }

    private static VersionStatus ToStatus(VersionRow row, UtcTime now) => row.StateAt(now) == VersionState.Burned
        ? new VersionStatus(row.Version, "BURNED", null, null, null)
        : new VersionStatus(
            row.Version, row.StateAt(now).ToString().ToUpperInvariant(), row.ValidFrom, row.ValidUntil, row.GraceUntil);

    private AgentReply Keysets(AgentCall call)
    {
        var text = QueryValue(call.Query, "after") ?? "0";
        if (!long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var after))
            return AnswerWriter.Write(new Outcome.Unsigned(400, "after is the number of a keyset"));
        var chain = database.Read(session => KeysetRows.After(session, after, AgentApiLimits.Keysets));
        var json = "[" + string.Join(',', FittingInAnswer(chain)) + "]";
        return new AgentReply(200, "application/json", System.Text.Encoding.UTF8.GetBytes(json));
    }

    // An agent takes no larger answer; it asks again for what comes after the last one it was given.
    private static IEnumerable<string> FittingInAnswer(List<string> chain)
    {
        var bytes = 2;
        return chain.TakeWhile(jws => (bytes += jws.Length + 1) <= AgentApiLimits.AnswerBytes);
    }

    private static string? QueryValue(string? query, string name)
    {
        foreach (var pair in (query ?? "").TrimStart('?').Split('&'))
        {
            if (pair.StartsWith(name + "=", StringComparison.Ordinal)) return pair[(name.Length + 1)..];
        }

        return null;
    }
}
