using LicenseAgent.Protocol.Encoding;

namespace LicenseServer.Storage;

/// <summary>The table witnesses: every audit head that an agent has shown, and when it came.</summary>
internal static class WitnessRows
{
    public static (long Seq, Digest32 Head)? Last(SqlSession session, string agentId) => session.First(
        "SELECT seq, head FROM witnesses WHERE agent_id = ?1 ORDER BY seq DESC LIMIT 1",
        static row => ((long, Digest32)?)(row.GetInt64(0), Digest32.From(row.GetFieldValue<byte[]>(1))), agentId);

    public static Digest32? At(SqlSession session, string agentId, long seq) => session.First(
        "SELECT head FROM witnesses WHERE agent_id = ?1 AND seq = ?2",
        static row => (Digest32?)Digest32.From(row.GetFieldValue<byte[]>(0)), agentId, seq);

    public static void Add(SqlSession session, string agentId, long seq, Digest32 head, UtcTime now) => session.Run(
        "INSERT INTO witnesses (agent_id, seq, head, received) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        agentId, seq, Bytes(head), now.UnixMs);

    /// <summary>A new enrolment begins a new chain.</summary>
    public static void Forget(SqlSession session, string agentId) =>
        session.Run("DELETE FROM witnesses WHERE agent_id = ?1", agentId);

    private static byte[] Bytes(Digest32 digest)
    {
        var bytes = new byte[Digest32.Length];
        digest.CopyTo(bytes);
        return bytes;
    }
}
