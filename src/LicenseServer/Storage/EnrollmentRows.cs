using LicenseAgent.Protocol.Encoding;

namespace LicenseServer.Storage;

/// <summary>An enrolment token, known by its hash only; bound to the first signing key that used it.</summary>
internal sealed record EnrollmentRow(
    string AgentId, UtcTime Expires, string? Thumbprint, UtcTime? Bound, string? Outcome)
{
    /// <summary>Thumbprint of the key that asked last and waits for an operator.</summary>
    public string? Waiting { get; init; }

    /// <summary>The key that an operator has compared and approved.</summary>
    public string? Approved { get; init; }
}

/// <summary>The table enrollment_tokens.</summary>
internal static class EnrollmentRows
{
    public static EnrollmentRow? Find(SqlSession session, Digest32 tokenHash) => session.First(
        """
        SELECT agent_id, expires, thumbprint, bound, outcome, waiting, approved FROM enrollment_tokens
        WHERE token_hash = ?1
        """,
        static row => new EnrollmentRow(
            row.GetString(0), new UtcTime(row.GetInt64(1)), row.IsDBNull(2) ? null : row.GetString(2),
            row.IsDBNull(3) ? null : new UtcTime(row.GetInt64(3)), row.IsDBNull(4) ? null : row.GetString(4))
        {
            Waiting = row.IsDBNull(5) ? null : row.GetString(5),
            Approved = row.IsDBNull(6) ? null : row.GetString(6),
        },
        Bytes(tokenHash));

    public static void Add(SqlSession session, Digest32 tokenHash, string agentId, UtcTime expires) => session.Run(
        "INSERT INTO enrollment_tokens (token_hash, agent_id, expires) VALUES (?1, ?2, ?3)",
        Bytes(tokenHash), agentId, expires.UnixMs);

    public static void Bind(SqlSession session, Digest32 tokenHash, string thumbprint, string outcome, UtcTime now) =>
        session.Run(
            "UPDATE enrollment_tokens SET thumbprint = ?2, bound = ?3, outcome = ?4 WHERE token_hash = ?1",
            Bytes(tokenHash), thumbprint, now.UnixMs, outcome);

    public static void SetWaiting(SqlSession session, Digest32 tokenHash, string thumbprint) => session.Run(
        "UPDATE enrollment_tokens SET waiting = ?2 WHERE token_hash = ?1", Bytes(tokenHash), thumbprint);

    /// <summary>The key that waits for an operator with the agent's unused bundle; null when none does.</summary>
    public static string? Waiting(SqlSession session, string agentId, UtcTime now) => session.First(
        """
        SELECT waiting FROM enrollment_tokens
        WHERE agent_id = ?1 AND thumbprint IS NULL AND waiting IS NOT NULL AND expires > ?2
        """,
        static row => row.GetString(0), agentId, now.UnixMs);

    public static void Approve(SqlSession session, string agentId, string thumbprint) => session.Run(
        "UPDATE enrollment_tokens SET approved = ?2 WHERE agent_id = ?1 AND thumbprint IS NULL", agentId, thumbprint);

    /// <summary>Unused tokens of the agent end when a new bundle is made: the one that counts is the last one
    /// written.</summary>
    public static void DropUnused(SqlSession session, string agentId) =>
        session.Run("DELETE FROM enrollment_tokens WHERE agent_id = ?1 AND thumbprint IS NULL", agentId);

    private static byte[] Bytes(Digest32 digest)
    {
        var bytes = new byte[Digest32.Length];
        digest.CopyTo(bytes);
        return bytes;
    }
}
