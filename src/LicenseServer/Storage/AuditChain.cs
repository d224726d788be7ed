using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using LicenseAgent.Protocol.Encoding;

namespace LicenseServer.Storage;

/// <summary>
/// The server's own audit: one row a change, written in the transaction of the change, so that neither exists without
/// the other. hash = SHA-256(hash of the row before ‖ line); the first row's predecessor is the SHA-256 of a constant.
/// </summary>
internal static class AuditChain
{
    private static readonly byte[] Genesis = SHA256.HashData("license-server/audit/v1"u8);

    /// <summary>Adds one row; <paramref name="actor"/> is an agent id, or the operator's system account.</summary>
    public static void Append(
        SqlSession session, UtcTime time, string actor, string? agentId, string what,
        params ReadOnlySpan<Detail> details)
    {
        var last = session.First(
            "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1",
            static row => (Seq: row.GetInt64(0), Hash: row.GetFieldValue<byte[]>(1)));
        var seq = last.Seq + 1;
        var line = Line(seq, time, actor, agentId, what, details);
        session.Run(
            "INSERT INTO audit (seq, line, hash) VALUES (?1, ?2, ?3)",
            seq, Encoding.UTF8.GetString(line), Hash(last.Hash ?? Genesis, line));
    }

    /// <summary>
    /// The first row whose hash, number or predecessor is wrong, among the last <paramref name="count"/>; null when
    /// all is well.
    /// </summary>
    public static long? FindBreak(SqlSession session, int count)
    {
        var rows = session.All(
            "SELECT seq, line, hash FROM audit ORDER BY seq DESC LIMIT ?1",
            static row => (Seq: row.GetInt64(0), Line: row.GetString(1), Hash: row.GetFieldValue<byte[]>(2)),
            count + 1L);
        rows.Reverse();
        if (rows.Count == 0) return null;
        var isWhole = rows.Count <= count;
        var seq = isWhole ? 0 : rows[0].Seq;
        var previous = isWhole ? Genesis : rows[0].Hash;
        foreach (var row in rows.Skip(isWhole ? 0 : 1))
        {
            var expected = Hash(previous, Encoding.UTF8.GetBytes(row.Line));
            if (row.Seq != seq + 1 || !expected.AsSpan().SequenceEqual(row.Hash)) return row.Seq;
            (seq, previous) = (row.Seq, row.Hash);
        }

        return null;
    }

    private static byte[] Hash(byte[] previous, byte[] line)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(previous);
        hash.AppendData(line);
        return hash.GetHashAndReset();
    }

    private static byte[] Line(
        long seq, UtcTime time, string actor, string? agentId, string what, ReadOnlySpan<Detail> details)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using var json = new Utf8JsonWriter(buffer);
        json.WriteStartObject();
        json.WriteNumber("seq", seq);
        json.WriteString("time", time.ToString());
        json.WriteString("actor", actor);
        json.WriteString("agent_id", agentId);
        json.WriteString("event", what);
        json.WriteStartObject("details");
        foreach (var detail in details)
        {
            if (detail.Text is { } text) json.WriteString(detail.Name, text);
            else json.WriteNumber(detail.Name, detail.Number);
        }

        json.WriteEndObject();
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenSpan.ToArray();
    }
}

/// <summary>One named fact of an audit row: a text, or a number where there is no text.</summary>
internal readonly record struct Detail(string Name, string? Text, long Number)
{
    public static implicit operator Detail((string Name, string Text) fact) => new(fact.Name, fact.Text, 0);

    public static implicit operator Detail((string Name, long Number) fact) => new(fact.Name, null, fact.Number);
}
