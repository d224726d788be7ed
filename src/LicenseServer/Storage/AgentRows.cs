using System.Text.Json;
using LicenseAgent.Protocol.Encoding;
using Microsoft.Data.Sqlite;

namespace LicenseServer.Storage;

/// <summary>An agent: its counters, the directive levels that hold for it, and what it last said of itself.</summary>
internal sealed record AgentRow(string AgentId, UtcTime Created, UtcTime? Enrolled, long Highest)
{
    public bool Suspended { get; init; }

    public UtcTime? LimitGraceUntil { get; init; }

    /// <summary>0 = no order.</summary>
    public long InvalidateBelow { get; init; }

    public long? RotateAbove { get; init; }

    public bool ReEnroll { get; init; }

    public long RevocationsVersion { get; init; }

    public UtcTime? LastSeen { get; init; }

    public string? Mode { get; init; }

    public string? LockReason { get; init; }

    public long? AgentActive { get; init; }

    public IReadOnlyList<long> HeldVersions { get; init; } = [];

    public string? Protection { get; init; }

    public string? Tpm { get; init; }

    public string? AgentVersion { get; init; }

    public long? KeysetVersion { get; init; }

    public bool AuditRegressed { get; init; }

    /// <summary>Timestamp of the latest request whose audit head was witnessed.</summary>
    public UtcTime WitnessTimestamp { get; init; }

    /// <summary>Since when the agent counts as two machines; null = it does not.</summary>
    public UtcTime? CloneSince { get; init; }

    public string? CloneEvidence { get; init; }

    /// <summary>Recoveries before this are an operator's to answer for.</summary>
    public UtcTime RecoveryApproved { get; init; }
}

/// <summary>The table agents.</summary>
internal static class AgentRows
{
    private const string Columns = """
        agent_id, created, enrolled, highest, suspended, limit_grace_until, invalidate_below, rotate_above, re_enroll,
        revocations_version, last_seen, mode, lock_reason, agent_active, held_versions, protection, tpm, agent_version,
        keyset_version, audit_regressed, witness_timestamp, clone_since, clone_evidence, recovery_approved
        """;

    public static AgentRow? Find(SqlSession session, string agentId) =>
        session.First($"SELECT {Columns} FROM agents WHERE agent_id = ?1", Read, agentId);

    public static List<AgentRow> Page(SqlSession session, string after, int count) => session.All(
        $"SELECT {Columns} FROM agents WHERE agent_id > ?1 ORDER BY agent_id LIMIT ?2", Read, after, (long)count);

    public static (long All, long Enrolled, long Suspended, long Suspect) Count(SqlSession session) => session.First(
        "SELECT count(*), count(enrolled), coalesce(sum(suspended), 0), count(clone_since) FROM agents",
        static row => (row.GetInt64(0), row.GetInt64(1), row.GetInt64(2), row.GetInt64(3)));

    /// <returns>Whether the agent is new.</returns>
    public static bool Add(SqlSession session, string agentId, UtcTime now) => session.Run(
        "INSERT INTO agents (agent_id, created) VALUES (?1, ?2) ON CONFLICT DO NOTHING", agentId, now.UnixMs) == 1;

    public static void SetHighest(SqlSession session, string agentId, long highest) =>
        session.Run("UPDATE agents SET highest = max(highest, ?2) WHERE agent_id = ?1", agentId, highest);

    public static void SetEnrolled(SqlSession session, string agentId, UtcTime now) => session.Run(
        """
        UPDATE agents SET enrolled = ?2, re_enroll = 0, held_versions = '[]', audit_regressed = 0,
            witness_timestamp = 0, clone_since = NULL, clone_evidence = NULL
        WHERE agent_id = ?1
        """,
        agentId, now.UnixMs);

    public static void SetHeld(SqlSession session, string agentId, IReadOnlyList<long> versions) =>
        session.Run("UPDATE agents SET held_versions = ?2 WHERE agent_id = ?1", agentId, WriteVersions(versions));

    public static void SetSuspended(SqlSession session, string agentId, bool suspended) =>
        session.Run("UPDATE agents SET suspended = ?2 WHERE agent_id = ?1", agentId, suspended ? 1L : 0L);

    public static void SetLimitGrace(SqlSession session, string agentId, UtcTime? until) =>
        session.Run("UPDATE agents SET limit_grace_until = ?2 WHERE agent_id = ?1", agentId, until?.UnixMs);

    public static void SetInvalidateBelow(SqlSession session, string agentId, long version) =>
        session.Run("UPDATE agents SET invalidate_below = ?2 WHERE agent_id = ?1", agentId, version);

    public static void SetRotateAbove(SqlSession session, string agentId, long? version) =>
        session.Run("UPDATE agents SET rotate_above = ?2 WHERE agent_id = ?1", agentId, version);

    public static void SetReEnroll(SqlSession session, string agentId) =>
        session.Run("UPDATE agents SET re_enroll = 1 WHERE agent_id = ?1", agentId);

    public static void SetClone(SqlSession session, string agentId, UtcTime? since, string? evidence) => session.Run(
        "UPDATE agents SET clone_since = ?2, clone_evidence = ?3 WHERE agent_id = ?1",
        agentId, since?.UnixMs, evidence);

    public static void SetRecoveryApproved(SqlSession session, string agentId, UtcTime now) =>
        session.Run("UPDATE agents SET recovery_approved = ?2 WHERE agent_id = ?1", agentId, now.UnixMs);

    /// <summary>How many enrolled agents have been heard of since a moment, and how many of them trust a keyset as
    /// new as <paramref name="version"/>.</summary>
    public static (long All, long Have) CountKeyset(SqlSession session, long version, UtcTime since) => session.First(
        """
        SELECT count(*), coalesce(sum(keyset_version >= ?1), 0) FROM agents
        WHERE enrolled IS NOT NULL AND last_seen >= ?2
        """,
        static row => (row.GetInt64(0), row.GetInt64(1)), version, since.UnixMs);

    public static void SetRevocationsVersion(SqlSession session, string agentId, long version) => session.Run(
        "UPDATE agents SET revocations_version = max(revocations_version, ?2) WHERE agent_id = ?1", agentId, version);

    public static void SetWitness(SqlSession session, string agentId, UtcTime timestamp, bool regressed) => session.Run(
        "UPDATE agents SET witness_timestamp = ?2, audit_regressed = ?3 WHERE agent_id = ?1",
        agentId, timestamp.UnixMs, regressed ? 1L : 0L);

    /// <summary>Stores the report of a check-in: every member of <paramref name="row"/> that an agent says of
    /// itself.</summary>
    public static void SetReport(SqlSession session, AgentRow row) => session.Run(
        """
        UPDATE agents SET last_seen = ?2, mode = ?3, lock_reason = ?4, agent_active = ?5, held_versions = ?6,
            protection = ?7, tpm = ?8, agent_version = ?9, keyset_version = ?10
        WHERE agent_id = ?1
        """,
        row.AgentId, row.LastSeen?.UnixMs, row.Mode, row.LockReason, row.AgentActive, WriteVersions(row.HeldVersions),
        row.Protection, row.Tpm, row.AgentVersion, row.KeysetVersion);

    private static string WriteVersions(IReadOnlyList<long> versions) => "[" + string.Join(',', versions) + "]";

    private static IReadOnlyList<long> ReadVersions(string json)
    {
        using var document = JsonDocument.Parse(json);
        return [.. document.RootElement.EnumerateArray().Select(element => element.GetInt64())];
    }

    private static AgentRow Read(SqliteDataReader row) => new(
        row.GetString(0), new UtcTime(row.GetInt64(1)), Time(row, 2), row.GetInt64(3))
    {
        Suspended = row.GetInt64(4) != 0,
        LimitGraceUntil = Time(row, 5),
        InvalidateBelow = row.GetInt64(6),
        RotateAbove = Number(row, 7),
        ReEnroll = row.GetInt64(8) != 0,
        RevocationsVersion = row.GetInt64(9),
        LastSeen = Time(row, 10),
        Mode = Text(row, 11),
        LockReason = Text(row, 12),
        AgentActive = Number(row, 13),
        HeldVersions = ReadVersions(row.GetString(14)),
        Protection = Text(row, 15),
        Tpm = Text(row, 16),
        AgentVersion = Text(row, 17),
        KeysetVersion = Number(row, 18),
        AuditRegressed = row.GetInt64(19) != 0,
        WitnessTimestamp = new UtcTime(row.GetInt64(20)),
        CloneSince = Time(row, 21),
        CloneEvidence = Text(row, 22),
        RecoveryApproved = new UtcTime(row.GetInt64(23)),
    };

    private static UtcTime? Time(SqliteDataReader row, int i) => row.IsDBNull(i) ? null : new UtcTime(row.GetInt64(i));

    private static long? Number(SqliteDataReader row, int i) => row.IsDBNull(i) ? null : row.GetInt64(i);

    private static string? Text(SqliteDataReader row, int i) => row.IsDBNull(i) ? null : row.GetString(i);
}
