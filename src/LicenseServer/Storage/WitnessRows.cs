using System.Text.Json;
using LicenseAgent.Protocol.Encoding;
using LicenseServer.Agents;
using LicenseServer.Rules;

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

/// <summary>The table agent_clocks: by signing key, what it last told of its machine's clocks and boots.</summary>
internal static class ClockRows
{
    public static ClockMark? Find(SqlSession session, string agentId, string thumbprint) => session.First(
        "SELECT timestamp, clock, boots FROM agent_clocks WHERE agent_id = ?1 AND thumbprint = ?2",
        static row => new ClockMark(
            new UtcTime(row.GetInt64(0)),
            JsonSerializer.Deserialize(row.GetString(1), OutcomeJsonContext.Default.ClockEvidence)!,
            JsonSerializer.Deserialize(row.GetString(2), OutcomeJsonContext.Default.StringArray)!),
        agentId, thumbprint);

    /// <summary>The latest request signed by another key of the agent than this one, retired keys left out.</summary>
    public static UtcTime? LatestOfOthers(SqlSession session, string agentId, string thumbprint) => session.First(
        """
        SELECT max(c.timestamp) FROM agent_clocks c JOIN agent_keys k USING (agent_id, thumbprint)
        WHERE c.agent_id = ?1 AND c.thumbprint <> ?2 AND k.retired IS NULL
        """,
        static row => row.IsDBNull(0) ? (UtcTime?)null : new UtcTime(row.GetInt64(0)), agentId, thumbprint);

    public static void Put(SqlSession session, string agentId, string thumbprint, ClockMark mark) => session.Run(
        """
        INSERT INTO agent_clocks (agent_id, thumbprint, timestamp, clock, boots) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (agent_id, thumbprint) DO UPDATE SET timestamp = ?3, clock = ?4, boots = ?5
        """,
        agentId, thumbprint, mark.Timestamp.UnixMs,
        JsonSerializer.Serialize(mark.Clock, OutcomeJsonContext.Default.ClockEvidence),
        JsonSerializer.Serialize([.. mark.Boots], OutcomeJsonContext.Default.StringArray));

    /// <summary>An operator has decided, or the agent is enrolled anew: what was told before is no measure.</summary>
    public static void Forget(SqlSession session, string agentId) =>
        session.Run("DELETE FROM agent_clocks WHERE agent_id = ?1", agentId);
}
