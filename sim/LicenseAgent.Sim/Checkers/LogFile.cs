using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Sim.Checkers;

/// <summary>One line of a log.</summary>
/// <param name="HashRight">Its hash is that of its bytes.</param>
/// <param name="Follows">It names the hash of the line before it in its file.</param>
/// <param name="Version">Of the secret it is about; 0: of none.</param>
/// <param name="Head">Its hash, as it says.</param>
internal sealed record LogLine(
    long Seq, string Event, string? Op, string Outcome, bool HashRight, bool Follows, long Version, Digest32 Head);

/// <summary>A record by its number and its hash, which is what the next one names.</summary>
internal sealed record LogPoint(long Seq, string Head);

/// <summary>
/// A file of a log, read from its bytes by a reader of our own: the product's must not judge itself.
/// </summary>
/// <param name="Before">What its first line says to follow.</param>
/// <param name="End">Its last record; <see langword="null"/>: it has none.</param>
/// <param name="Retired">The ends of files that were removed, as this one says.</param>
internal sealed record LogFile(
    IReadOnlyList<LogLine> Lines, LogPoint Before, LogPoint? End, IReadOnlyList<LogPoint> Retired)
{
    public static LogFile Read(ReadOnlyMemory<byte> file)
    {
        List<LogLine> lines = [];
        List<LogPoint> retired = [];
        LogPoint before = new(0, "");
        LogPoint? end = null;
        ReadOnlySpan<byte> rest = file.Span;

        // A torn tail, cut by the next start, is no record.
        for (int length; (length = rest.IndexOf((byte)'\n')) >= 0; rest = rest[(length + 1)..])
        {
            (LogLine line, string prev, string hash, LogPoint? gone) = One(rest[..length], end?.Head);
            if (lines.Count == 0)
            {
                before = new LogPoint(line.Seq - 1, prev);
            }

            if (gone is not null)
            {
                retired.Add(gone);
            }

            lines.Add(line);
            end = new LogPoint(line.Seq, hash);
        }

        return new LogFile(lines, before, end, retired);
    }

    private static (LogLine Line, string Prev, string Hash, LogPoint? Retired) One(ReadOnlySpan<byte> line, string? last)
    {
        int cut = line.LastIndexOf(",\"hash\":"u8);
        try
        {
            using JsonDocument json = JsonDocument.Parse(line.ToArray());
            JsonElement root = json.RootElement;
            string prev = root.GetProperty("prev").GetString()!;
            string hash = root.GetProperty("hash").GetString()!;
            Base64UrlText.TryDecode(prev, out byte[] before);
            byte[] computed = SHA256.HashData([.. before, .. line[..cut]]);
            string what = string.Intern(root.GetProperty("event").GetString()!);
            JsonElement details = root.TryGetProperty("details", out JsonElement d) ? d : default;
            LogPoint? retired = what is "segment_retired" or "chain_retired"
                && details.GetProperty("head").GetString() is { } head
                    ? new LogPoint(details.GetProperty("last_seq").GetInt64(), head)
                    : null;
            LogLine read = new(
                root.GetProperty("seq").GetInt64(), what, root.GetProperty("op").GetString(),
                string.Intern(root.GetProperty("outcome").GetString()!), Base64UrlText.Encode(computed) == hash,
                prev == last, VersionIn(details), Digest32.TryParse(hash, out Digest32 digest) ? digest : default);
            return (read, prev, hash, retired);
        }
        catch (JsonException)
        {
            string text = Encoding.UTF8.GetString(line[..Math.Min(40, line.Length)]);
            return (new LogLine(0, text, null, "", HashRight: false, Follows: false, 0, default), "", "", null);
        }
    }

    private static long VersionIn(JsonElement details) =>
        details.ValueKind == JsonValueKind.Object && details.TryGetProperty("version", out JsonElement version)
            && version.ValueKind == JsonValueKind.Number
                ? version.GetInt64()
                : 0;
}
