using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using LicenseServer.Rules;
using LicenseServer.Storage;

namespace LicenseServer.Agents;

/// <summary>
/// Carries out rotation inside a write transaction: loads what is known, lets <see cref="RotationRules"/> decide, and
/// applies each step together with its audit row.
/// </summary>
internal sealed class RotationActions(VersionKeys keys, Policy policy)
{
    /// <summary>Answered without an operator within 24 hours; more looks like somebody rolling a till's disk
    /// back.</summary>
    private const long RecoveriesMax = 3;

    /// <summary>Versions of an agent that can be alive at once, far above its own limit of 18.</summary>
    private const int LiveVersionsMax = 64;

    /// <param name="isFallback">Signed by the software key: nothing made for the TPM is sent.</param>
    public Outcome Prepare(
        SqlSession session, AgentRow agent, RotateSecretRequest request, bool isFallback, UtcTime now)
    {
        if (request.Reason == RotationReasons.Recovery
            && RequestRows.RecoveriesSince(session, agent.AgentId, RecoveriesCountFrom(agent, now)) >= RecoveriesMax)
        {
            AuditChain.Append(session, now, agent.AgentId, agent.AgentId, "recovery_refused");
            return new Outcome.Refused(
                ServerErrors.DowngradeRefused,
                $"more than {RecoveriesMax} recoveries in 24 h; an operator must run `agents approve-recovery`");
        }

        var books = new Books(session, agent, keys, policy, now, request.RequestId);
        var current = Current(session, agent.AgentId, books.Versions.Active, request);
        var decision = isFallback
            ? RotationRules.PrepareSoftware(
                books.Versions, current.Facts, version => SoftwareRows.IsSoftware(session, agent.AgentId, version))
            : RotationRules.Prepare(books.Versions, current.Facts);
        if (decision.Answer != RotationAnswer.Granted)
            return books.Conflict(request.Action, request.CurrentSecretVersion);
        books.Apply(decision, current.Epoch);
        if (isFallback) SoftwareRows.AddVersion(session, agent.AgentId, decision.Version);
        var row = books.Get(decision.Version);
        return new Outcome.Prepared(
            row.Version, row.Epoch, row.Kcv, row.ValidFrom, row.ValidUntil, row.GraceUntil, now + policy.ConfirmWithin);
    }

    public Outcome Confirm(
        SqlSession session, AgentRow agent, ConfirmRotationRequest request, bool isFallback, UtcTime now)
    {
        var books = new Books(session, agent, keys, policy, now, request.RequestId);
        if (isFallback != SoftwareRows.IsSoftware(session, agent.AgentId, request.SecretVersion))
            return books.Conflict(request.Action, request.SecretVersion);
        var epoch = VersionRows.Find(session, agent.AgentId, request.SecretVersion)?.Epoch
            ?? keys.EpochOf(agent.AgentId, request.SecretVersion, request.Kcv);
        var isProven = epoch is { } known
            && keys.KcvOf(agent.AgentId, request.SecretVersion, known) == request.Kcv
            && keys.IsProof(agent.AgentId, request.SecretVersion, known, request.Nonce, request.Proof);
        var decision = RotationRules.Confirm(books.Versions, new ConfirmFacts(request.SecretVersion, isProven));
        switch (decision.Answer)
        {
            case RotationAnswer.VersionConflict:
                return books.Conflict(request.Action, request.SecretVersion);
            case RotationAnswer.RejectedProof:
                books.Audit("proof_rejected", request.SecretVersion);
                return new Outcome.Refused(ServerErrors.RejectedProof, "the proof is not that of this version");
            default:
                books.Apply(decision, epoch);
                return Confirmed(session, agent, decision, books.Get(decision.Version), now);
        }
    }

    public Outcome Reject(SqlSession session, AgentRow agent, RejectRotationRequest request, UtcTime now)
    {
        var books = new Books(session, agent, keys, policy, now, request.RequestId);
        books.Apply(RotationRules.Reject(books.Versions, request.SecretVersion), epoch: null);
        return new Outcome.Rejected(request.SecretVersion);
    }

    private static UtcTime RecoveriesCountFrom(AgentRow agent, UtcTime now) =>
        UtcTime.Max(now - TimeSpan.FromDays(1), agent.RecoveryApproved);

    private static Outcome.Confirmed Confirmed(
        SqlSession session, AgentRow agent, RotationDecision decision, VersionRow row, UtcTime now)
    {
        // The new version can be minted under from here on, without waiting for a check-in that lists it as held.
        var held = agent.HeldVersions.Append(row.Version).Distinct().Order().TakeLast(LiveVersionsMax);
        AgentRows.SetHeld(session, agent.AgentId, [.. held]);
        var previous = VersionRows.Live(session, agent.AgentId)
            .Where(live => live.State == VersionState.Grace && live.GraceUntil > now)
            .TakeLast(LiveVersionsMax)
            .Select(live => new PreviousVersion(live.Version, live.GraceUntil));
        return new Outcome.Confirmed(
            row.Version, row.ValidFrom, row.ValidUntil, row.GraceUntil, [.. previous],
            Math.Max(1, decision.After.InvalidBelow));
    }

    private (PrepareFacts Facts, int? Epoch) Current(
        SqlSession session, string agentId, long active, RotateSecretRequest request)
    {
        var version = request.CurrentSecretVersion;
        var row = version == 0 ? null : VersionRows.Find(session, agentId, version);
        var epoch = row?.Epoch;
        bool isRight;
        if (version == 0) isRight = request.KcvCurrent.Length == 0;
        else if (!Kcv.TryParse(request.KcvCurrent, out var kcv)) isRight = false;
        else if (row is not null) isRight = row.Kcv == kcv;
        else isRight = version > active && (epoch = keys.EpochOf(agentId, version, kcv)) is not null;

        var isRetired = row?.State is VersionState.Invalidated or VersionState.Burned;
        var isRecovery = request.Reason == RotationReasons.Recovery;
        return (new PrepareFacts(version, request.HighestVersionSeen, isRecovery, isRight, isRetired), epoch);
    }
}
