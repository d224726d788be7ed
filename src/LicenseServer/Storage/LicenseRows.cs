using LicenseAgent.Protocol.Encoding;
using Microsoft.Data.Sqlite;

namespace LicenseServer.Storage;

/// <summary>One issued token: its claims, and the version it was minted under. The token itself is not kept.</summary>
internal sealed record LicenseRow(
    string Jti, string LicenseId, string AgentId, long Version, string Product, string Claims, UtcTime Issued,
    UtcTime Expires, bool IsRevoked);

/// <summary>The tables licenses and revocations.</summary>
internal static class LicenseRows
{
    private const string Columns = """
        l.jti, l.license_id, l.agent_id, l.version, l.product, l.claims, l.issued, l.expires,
        EXISTS (SELECT 1 FROM revocations r WHERE r.agent_id = l.agent_id AND r.license_id = l.license_id)
        """;

    public static void Add(SqlSession session, LicenseRow row) => session.Run(
        """
        INSERT INTO licenses (jti, license_id, agent_id, version, product, claims, issued, expires)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        """,
        row.Jti, row.LicenseId, row.AgentId, row.Version, row.Product, row.Claims, row.Issued.UnixMs,
        row.Expires.UnixMs);

    /// <summary>Issued tokens, by agent or of all agents (null), in the order of their ids.</summary>
    public static List<LicenseRow> Page(SqlSession session, string? agentId, string afterJti, int count) =>
        agentId is null
            ? session.All(
                $"SELECT {Columns} FROM licenses l WHERE l.jti > ?1 ORDER BY l.jti LIMIT ?2",
                Read, afterJti, (long)count)
            : session.All(
                $"SELECT {Columns} FROM licenses l WHERE l.agent_id = ?3 AND l.jti > ?1 ORDER BY l.jti LIMIT ?2",
                Read, afterJti, (long)count, agentId);

    /// <summary>When the last token issued so far ends; null when none was issued.</summary>
    public static UtcTime? LatestEnd(SqlSession session) => session.First(
        "SELECT max(expires) FROM licenses",
        static row => row.IsDBNull(0) ? (UtcTime?)null : new UtcTime(row.GetInt64(0)));

    public static List<string> AgentsOf(SqlSession session, string licenseId) => session.All(
        "SELECT DISTINCT agent_id FROM licenses WHERE license_id = ?1 ORDER BY agent_id",
        static row => row.GetString(0), licenseId);

    public static bool IsRevoked(SqlSession session, string agentId, string licenseId) => session.Number(
        "SELECT count(*) FROM revocations WHERE agent_id = ?1 AND license_id = ?2", agentId, licenseId) != 0;

    public static long CountRevoked(SqlSession session, string agentId) =>
        session.Number("SELECT count(*) FROM revocations WHERE agent_id = ?1", agentId);

    public static void Revoke(SqlSession session, string agentId, string licenseId, long version, UtcTime now) =>
        session.Run(
            """
            INSERT INTO revocations (agent_id, license_id, version, revoked) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT DO NOTHING
            """,
            agentId, licenseId, version, now.UnixMs);

    public static List<string> Revoked(SqlSession session, string agentId) => session.All(
        "SELECT license_id FROM revocations WHERE agent_id = ?1 ORDER BY license_id",
        static row => row.GetString(0), agentId);

    private static LicenseRow Read(SqliteDataReader row) => new(
        row.GetString(0), row.GetString(1), row.GetString(2), row.GetInt64(3), row.GetString(4), row.GetString(5),
        new UtcTime(row.GetInt64(6)), new UtcTime(row.GetInt64(7)), row.GetInt64(8) != 0);
}
