using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Messages;
using Microsoft.Data.Sqlite;

namespace LicenseServer.Storage;

/// <summary>The keys that an agent enrolled with: one pair of its TPM, perhaps one of software.</summary>
internal sealed record AgentKeyRow(string Thumbprint, bool IsFallback, AgentKeyPair Keys);

/// <summary>The table agent_keys.</summary>
internal static class KeyRows
{
    public static AgentKeyRow? Find(SqlSession session, string agentId, bool isFallback) => session.First(
        """
        SELECT thumbprint, is_fallback, signing, decryption FROM agent_keys
        WHERE agent_id = ?1 AND is_fallback = ?2 AND retired IS NULL
        """,
        Read, agentId, isFallback ? 1L : 0L);

    /// <summary>Replaces all keys of the agent: an identity has one set.</summary>
    public static void Replace(SqlSession session, string agentId, AgentKeys keys, UtcTime now)
    {
        session.Run(
            "UPDATE agent_keys SET retired = ?2 WHERE agent_id = ?1 AND retired IS NULL", agentId, now.UnixMs);
        SoftwareRows.Delete(session, agentId);
        Add(session, agentId, new AgentKeyPair(keys.Signing, keys.Decryption), isFallback: false, now);
        if (keys.Fallback is { } fallback) Add(session, agentId, fallback, isFallback: true, now);
    }

    /// <summary>Registers software keys in place of those there are. Spent ones never count again.</summary>
    public static void RegisterFallback(SqlSession session, string agentId, AgentKeyPair keys, UtcTime now)
    {
        var thumbprint = keys.Signing.Thumbprint().ToString();
        var isKnown = session.Number(
            "SELECT count(*) FROM agent_keys WHERE agent_id = ?1 AND thumbprint = ?2", agentId, thumbprint) > 0;
        if (isKnown) return;
        SpendFallback(session, agentId, now);
        Add(session, agentId, keys, isFallback: true, now);
        AuditChain.Append(session, now, agentId, agentId, "fallback_key_registered", ("thumbprint", thumbprint));
    }

    public static void SpendFallback(SqlSession session, string agentId, UtcTime now) => session.Run(
        "UPDATE agent_keys SET retired = ?2 WHERE agent_id = ?1 AND is_fallback = 1 AND retired IS NULL",
        agentId, now.UnixMs);

    private static void Add(SqlSession session, string agentId, AgentKeyPair keys, bool isFallback, UtcTime now) =>
        session.Run(
            """
            INSERT INTO agent_keys (agent_id, thumbprint, is_fallback, signing, decryption, added)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)
            ON CONFLICT (agent_id, thumbprint) DO UPDATE SET
                is_fallback = ?3, signing = ?4, decryption = ?5, added = ?6, retired = NULL
            """,
            agentId, keys.Signing.Thumbprint().ToString(), isFallback ? 1L : 0L,
            $"{keys.Signing.X}.{keys.Signing.Y}", keys.Decryption.N, now.UnixMs);

    private static AgentKeyRow Read(SqliteDataReader row)
    {
        var point = row.GetString(2).Split('.');
        var keys = new AgentKeyPair(
            new EcPublicJwk("P-256", "EC", point[0], point[1]), new RsaPublicJwk("AQAB", "RSA", row.GetString(3)));
        return new AgentKeyRow(row.GetString(0), row.GetInt64(1) != 0, keys);
    }
}

/// <summary>One loss of a TPM: when its agent first asked, since when it goes on in software, and the operator's
/// word.</summary>
internal sealed record SoftwareRow(UtcTime? Asked, UtcTime? Since, UtcTime? ApprovedUntil);

/// <summary>The tables software_fallback and software_versions.</summary>
internal static class SoftwareRows
{
    public static SoftwareRow? Find(SqlSession session, string agentId) => session.First(
        "SELECT asked, since, approved_until FROM software_fallback WHERE agent_id = ?1",
        static row => new SoftwareRow(Time(row, 0), Time(row, 1), Time(row, 2)), agentId);

    public static void Put(SqlSession session, string agentId, SoftwareRow row) => session.Run(
        """
        INSERT INTO software_fallback (agent_id, asked, since, approved_until) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (agent_id) DO UPDATE SET asked = ?2, since = ?3, approved_until = ?4
        """,
        agentId, row.Asked?.UnixMs, row.Since?.UnixMs, row.ApprovedUntil?.UnixMs);

    public static void Delete(SqlSession session, string agentId) =>
        session.Run("DELETE FROM software_fallback WHERE agent_id = ?1", agentId);

    public static void AddVersion(SqlSession session, string agentId, long version) => session.Run(
        "INSERT INTO software_versions (agent_id, version) VALUES (?1, ?2) ON CONFLICT DO NOTHING", agentId, version);

    public static bool IsSoftware(SqlSession session, string agentId, long version) => session.Number(
        "SELECT count(*) FROM software_versions WHERE agent_id = ?1 AND version = ?2", agentId, version) > 0;

    private static UtcTime? Time(SqliteDataReader row, int i) => row.IsDBNull(i) ? null : new UtcTime(row.GetInt64(i));
}
