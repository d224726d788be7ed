using LicenseAgent.Protocol.Encoding;

namespace LicenseServer.Storage;

/// <summary>An enrolment token, known by its hash only; bound to the first signing key that used it.</summary>
internal sealed record EnrollmentRow(
    string AgentId, UtcTime Expires, string? Thumbprint, UtcTime? Bound, string? Outcome);

/// <summary>The table enrollment_tokens.</summary>
internal static class EnrollmentRows
{
    public static EnrollmentRow? Find(SqlSession session, Digest32 tokenHash) => session.First(
        "SELECT agent_id, expires, thumbprint, bound, outcome FROM enrollment_tokens WHERE token_hash = ?1",
        static row => new EnrollmentRow(
            row.GetString(0), new UtcTime(row.GetInt64(1)), row.IsDBNull(2) ? null : row.GetString(2),
            row.IsDBNull(3) ? null : new UtcTime(row.GetInt64(3)), row.IsDBNull(4) ? null : row.GetString(4)),
        Bytes(tokenHash));

    public static void Add(SqlSession session, Digest32 tokenHash, string agentId, UtcTime expires) => session.Run(
        "INSERT INTO enrollment_tokens (token_hash, agent_id, expires) VALUES (?1, ?2, ?3)",
        Bytes(tokenHash), agentId, expires.UnixMs);

    public static void Bind(SqlSession session, Digest32 tokenHash, string thumbprint, string outcome, UtcTime now) =>
        session.Run(
            "UPDATE enrollment_tokens SET thumbprint = ?2, bound = ?3, outcome = ?4 WHERE token_hash = ?1",
            Bytes(tokenHash), thumbprint, now.UnixMs, outcome);

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
