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
        Add(session, agentId, new AgentKeyPair(keys.Signing, keys.Decryption), isFallback: false, now);
        if (keys.Fallback is { } fallback) Add(session, agentId, fallback, isFallback: true, now);
    }

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
