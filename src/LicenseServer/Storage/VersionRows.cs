using LicenseAgent.Protocol.Encoding;
using LicenseServer.Rules;
using Microsoft.Data.Sqlite;

namespace LicenseServer.Storage;

/// <summary>One version of an agent's secret; of the secret itself only the check value.</summary>
internal sealed record VersionRow(
    long Version, int Epoch, VersionState State, Kcv Kcv, UtcTime ValidFrom, UtcTime ValidUntil, UtcTime GraceUntil)
{
    /// <summary>GRACE ends by time alone; nothing has to run at that moment.</summary>
    public VersionState StateAt(UtcTime now) =>
        State == VersionState.Grace && GraceUntil <= now ? VersionState.Invalidated : State;
}

/// <summary>The table secret_versions.</summary>
internal static class VersionRows
{
    private const string Columns = "version, epoch, state, kcv, valid_from, valid_until, grace_until";

    /// <summary>PENDING, ACTIVE and GRACE versions, lowest first.</summary>
    public static List<VersionRow> Live(SqlSession session, string agentId) => session.All(
        $"SELECT {Columns} FROM secret_versions WHERE agent_id = ?1 AND state <= 3 ORDER BY version", Read, agentId);

    /// <summary>The latest <paramref name="count"/> versions of any state, highest first.</summary>
    public static List<VersionRow> Latest(SqlSession session, string agentId, int count) => session.All(
        $"SELECT {Columns} FROM secret_versions WHERE agent_id = ?1 ORDER BY version DESC LIMIT ?2",
        Read, agentId, (long)count);

    public static VersionRow? Find(SqlSession session, string agentId, long version) => session.First(
        $"SELECT {Columns} FROM secret_versions WHERE agent_id = ?1 AND version = ?2", Read, agentId, version);

    /// <summary>Adds a version, or replaces everything that is known about it.</summary>
    public static void Put(SqlSession session, string agentId, VersionRow row, UtcTime now, string? requestId) =>
        session.Run(
            """
            INSERT INTO secret_versions
                (agent_id, version, epoch, state, kcv, request_id, created, valid_from, valid_until, grace_until)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
            ON CONFLICT (agent_id, version) DO UPDATE SET epoch = ?3, state = ?4, kcv = ?5,
                valid_from = ?8, valid_until = ?9, grace_until = ?10
            """,
            agentId, row.Version, (long)row.Epoch, (long)row.State, row.Kcv.ToString(), requestId,
            now.UnixMs, row.ValidFrom.UnixMs, row.ValidUntil.UnixMs, row.GraceUntil.UnixMs);

    public static void SetState(SqlSession session, string agentId, long version, VersionState state) => session.Run(
        "UPDATE secret_versions SET state = ?3 WHERE agent_id = ?1 AND version = ?2", agentId, version, (long)state);

    public static void SetGrace(SqlSession session, string agentId, long version, UtcTime until) => session.Run(
        "UPDATE secret_versions SET state = 3, grace_until = ?3 WHERE agent_id = ?1 AND version = ?2",
        agentId, version, until.UnixMs);

    /// <summary>Ends GRACE versions whose time has passed, so that the list of live ones stays short.</summary>
    public static void RetirePassed(SqlSession session, string agentId, UtcTime now) => session.Run(
        "UPDATE secret_versions SET state = 4 WHERE agent_id = ?1 AND state = 3 AND grace_until <= ?2",
        agentId, now.UnixMs);

    /// <summary>Ends the GRACE versions below a number, by order.</summary>
    public static void InvalidateBelow(SqlSession session, string agentId, long version) => session.Run(
        "UPDATE secret_versions SET state = 4 WHERE agent_id = ?1 AND state = 3 AND version < ?2", agentId, version);

    private static VersionRow Read(SqliteDataReader row) => new(
        row.GetInt64(0), row.GetInt32(1), (VersionState)row.GetInt32(2), ReadKcv(row.GetString(3)),
        new UtcTime(row.GetInt64(4)), new UtcTime(row.GetInt64(5)), new UtcTime(row.GetInt64(6)));

    private static Kcv ReadKcv(string text) =>
        Kcv.TryParse(text, out var kcv) ? kcv : throw new StorageException("a stored key check value is malformed");
}
