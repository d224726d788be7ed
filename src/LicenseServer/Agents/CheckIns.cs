using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using LicenseServer.Rules;
using LicenseServer.Storage;

namespace LicenseServer.Agents;

/// <summary>Check-in: keeps the report, witnesses the audit head, and tells the agent every level that holds.</summary>
internal sealed class CheckIns(Policy policy)
{
    public Outcome CheckIn(
        SqlSession session, AgentRow agent, CheckInRequest request, bool isFallback, UtcTime now)
    {
        // A software key that could name its successor would outlive the repair of the TPM.
        if (request.Fallback is { } keys && !isFallback) KeyRows.RegisterFallback(session, agent.AgentId, keys, now);

        var reported = agent with
        {
            LastSeen = now,
            Mode = request.Mode,
            LockReason = request.LockReason,
            AgentActive = request.ActiveVersion,
            HeldVersions = request.HeldVersions,
            Protection = request.Protection,
            Tpm = request.Tpm,
            AgentVersion = request.AgentVersion,
            KeysetVersion = request.KeysetVersion,
        };
        AgentRows.SetReport(session, reported);
        var witness = Witness(session, agent, request.Audit, request.Timestamp, now);
        return new Outcome.CheckedIn(
            Levels(session, agent), KeysetRows.LatestVersion(session), witness,
            (int)Math.Ceiling(policy.CheckInInterval.TotalSeconds), Revocations(session, agent, request, now),
            KeyRows.Find(session, agent.AgentId, isFallback: true)?.Thumbprint ?? "");
    }

    /// <summary>Judges and keeps an audit head; also of requests other than check-in that carry one.</summary>
    public static Witness Witness(
        SqlSession session, AgentRow agent, AuditEvidence audit, UtcTime timestamp, UtcTime now)
    {
        var last = WitnessRows.Last(session, agent.AgentId);
        var claimed = audit.Witnessed;
        var inOrder = timestamp >= agent.WitnessTimestamp;
        var isConflict = WitnessRules.IsConflict(new WitnessFacts(
            new AuditMark(audit.Seq, audit.Head),
            claimed is null ? null : new AuditMark(claimed.Seq, claimed.Head),
            last is null ? null : new AuditMark(last.Value.Seq, last.Value.Head),
            WitnessRows.At(session, agent.AgentId, audit.Seq),
            claimed is null ? null : WitnessRows.At(session, agent.AgentId, claimed.Seq),
            inOrder));
        if (isConflict && !agent.AuditRegressed)
        {
            AuditChain.Append(
                session, now, agent.AgentId, agent.AgentId, "audit_regressed",
                ("seq", audit.Seq), ("head", audit.Head.ToString()), ("witnessed_seq", last?.Seq ?? 0));
        }

        // A head that contradicts what was witnessed is not kept: the conflict stays until somebody looks.
        if (!isConflict && audit.Seq > 0) WitnessRows.Add(session, agent.AgentId, audit.Seq, audit.Head, now);
        if (inOrder || isConflict)
        {
            var latest = UtcTime.Max(timestamp, agent.WitnessTimestamp);
            AgentRows.SetWitness(session, agent.AgentId, latest, agent.AuditRegressed || isConflict);
        }

        return new Witness(audit.Seq, audit.Head, isConflict);
    }

    /// <summary>
    /// Judges the clocks of a signed request against what its key told before, and keeps them. What it finds holds
    /// until an operator decides.
    /// </summary>
    /// <returns>The agent as it now stands.</returns>
    public static AgentRow JudgeClones(
        SqlSession session, AgentRow agent, AgentKeyRow key, UtcTime timestamp, ClockEvidence clock, UtcTime now)
    {
        var before = ClockRows.Find(session, agent.AgentId, key.Thumbprint);
        var others = ClockRows.LatestOfOthers(session, agent.AgentId, key.Thumbprint);
        var isAllowed = SoftwareRows.Find(session, agent.AgentId)?.ApprovedUntil is { } until && now < until;
        var evidence = CloneRules.Evidence(new CloneFacts(timestamp, clock, before, others, isAllowed));
        var after = CloneRules.After(before, timestamp, clock);
        if (!ReferenceEquals(after, before)) ClockRows.Put(session, agent.AgentId, key.Thumbprint, after);
        if (evidence is null || agent.CloneSince is not null) return agent;
        AgentRows.SetClone(session, agent.AgentId, now, evidence);
        AuditChain.Append(
            session, now, agent.AgentId, agent.AgentId, "clone_suspected",
            ("evidence", evidence), ("thumbprint", key.Thumbprint), ("boot_id", clock.BootId),
            ("boot_id_before", before?.Clock.BootId ?? ""), ("generation", clock.Generation ?? -1),
            ("generation_before", before?.Clock.Generation ?? -1), ("boottime_ms", clock.BoottimeMs),
            ("boottime_ms_before", before?.Clock.BoottimeMs ?? -1));
        return agent with { CloneSince = now, CloneEvidence = evidence };
    }

    /// <summary>Every directive that holds now. Levels: what is missing here has ended.</summary>
    private static List<Directive> Levels(SqlSession session, AgentRow agent)
    {
        var levels = new List<Directive>();
        if (agent.Suspended) levels.Add(new SuspendDirective());
        if (agent.LimitGraceUntil is { } until) levels.Add(new LimitGraceDirective(until));
        if (agent.InvalidateBelow > 0) levels.Add(new InvalidateBelowDirective(agent.InvalidateBelow));
        if (agent.RotateAbove is { } above && Books.Load(session, agent).Active <= above)
            levels.Add(new RotateNowDirective(above));
        if (agent.ReEnroll) levels.Add(new ReEnrollDirective());
        return levels;
    }

    private static RevocationList? Revocations(
        SqlSession session, AgentRow agent, CheckInRequest request, UtcTime now)
    {
        if (request.RevocationsVersion == agent.RevocationsVersion) return null;
        if (request.RevocationsVersion > agent.RevocationsVersion)
        {
            // Only a server restored from a backup knows less than its agents; the next revocation must count from
            // theirs.
            AgentRows.SetRevocationsVersion(session, agent.AgentId, request.RevocationsVersion);
            AuditChain.Append(
                session, now, agent.AgentId, agent.AgentId, "server_behind",
                ("revocations_version", request.RevocationsVersion));
            return null;
        }

        return new RevocationList(agent.RevocationsVersion, LicenseRows.Revoked(session, agent.AgentId));
    }
}
