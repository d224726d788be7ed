using LicenseAgent.Protocol.Encoding;

namespace LicenseServer.Storage;

/// <summary>What was answered to an operation; the outcome is null where the operation was refused and changed
/// nothing.</summary>
internal sealed record RequestRow(string Action, Digest32 Operation, string? Outcome, bool IsRecovery = false);

/// <summary>The tables requests (outcomes by request id, 7 days) and nonces (660 s).</summary>
internal static class RequestRows
{
    /// <summary>How long a retry gets the stored outcome.</summary>
    public static readonly TimeSpan Kept = TimeSpan.FromDays(7);

    /// <summary>Twice the clock tolerance of 300 s, and a minute: as long as a copy could pass the clock
    /// check.</summary>
    public static readonly TimeSpan NonceWindow = TimeSpan.FromSeconds(660);

    // Bounded deletions, so that tidying up never holds the writer for long.
    private const long SweepRows = 2000;

    public static RequestRow? Find(SqlSession session, string agentId, string requestId, UtcTime now) => session.First(
        "SELECT action, operation, outcome FROM requests WHERE agent_id = ?1 AND request_id = ?2 AND created > ?3",
        static row => new RequestRow(
            row.GetString(0), Digest32.From(row.GetFieldValue<byte[]>(1)), row.IsDBNull(2) ? null : row.GetString(2)),
        agentId, requestId, (now - Kept).UnixMs);

    public static void Put(SqlSession session, string agentId, string requestId, RequestRow row, UtcTime now) =>
        session.Run(
            """
            INSERT INTO requests
                (agent_id, request_id, action, operation, outcome, recovery, created)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
            ON CONFLICT (agent_id, request_id) DO UPDATE SET
                action = ?3, operation = ?4, outcome = ?5, recovery = ?6, created = ?7
            """,
            agentId, requestId, row.Action, Bytes(row.Operation), row.Outcome, row.IsRecovery ? 1L : 0L, now.UnixMs);

    public static long RecoveriesSince(SqlSession session, string agentId, UtcTime since) => session.Number(
        "SELECT count(*) FROM requests WHERE agent_id = ?1 AND recovery = 1 AND created > ?2", agentId, since.UnixMs);

    /// <returns>False when the nonce was seen within the window.</returns>
    public static bool TakeNonce(SqlSession session, string agentId, Nonce16 nonce, UtcTime now)
    {
        var bytes = new byte[Nonce16.Length];
        nonce.CopyTo(bytes);
        return session.Run(
            """
            INSERT INTO nonces (agent_id, nonce, expires) VALUES (?1, ?2, ?3)
            ON CONFLICT (agent_id, nonce) DO UPDATE SET expires = ?3 WHERE expires <= ?4
            """,
            agentId, bytes, (now + NonceWindow).UnixMs, now.UnixMs) == 1;
    }

    /// <returns>Whether more is left to delete.</returns>
    public static bool Sweep(SqlSession session, UtcTime now)
    {
        var nonces = session.Run(
            """
            DELETE FROM nonces WHERE (agent_id, nonce) IN
                (SELECT agent_id, nonce FROM nonces WHERE expires <= ?1 ORDER BY expires LIMIT ?2)
            """,
            now.UnixMs, SweepRows);
        var requests = session.Run(
            """
            DELETE FROM requests WHERE (agent_id, request_id) IN
                (SELECT agent_id, request_id FROM requests WHERE created <= ?1 ORDER BY created LIMIT ?2)
            """,
            (now - Kept).UnixMs, SweepRows);
        return nonces == SweepRows || requests == SweepRows;
    }

    private static byte[] Bytes(Digest32 digest)
    {
        var bytes = new byte[Digest32.Length];
        digest.CopyTo(bytes);
        return bytes;
    }
}
