using System.Security.Cryptography;
using System.Text.Json;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Daemon.Audit;

/// <summary>
/// Reads the log as it stands on the disk now, on the caller's thread, beside whoever appends: it looks no further than
/// the whole lines written when the call began.
/// </summary>
internal sealed class AuditReader(IAuditFile file, Func<long> wholeLength)
{
    private const int ChunkBytes = 64 * 1024;
    private const int PageBytesMax = 1024 * 1024;

    /// <summary>
    /// The record of a number with the hash its bytes have now; <see langword="null"/> where there is no such line.
    /// </summary>
    /// <exception cref="StorageException">The log cannot be read.</exception>
    public AuditPoint? Point(long seq)
    {
        foreach (AuditSegment segment in Enumerable.Reverse(Segments()))
        {
            long at = FirstAtOrAfter(segment, seq);
            if (at == segment.Length)
                continue;
            byte[] bytes = new byte[AuditFormat.MaxLineBytes];
            ReadOnlySpan<byte> text = bytes.AsSpan(0, file.Read(segment.Name, at, bytes));
            int end = text.IndexOf((byte)'\n');
            if (end < 0 || !AuditLine.TryParse(text[..end], out AuditLine line) || line.Seq < seq)
                return null;
            if (line.Seq > seq)
                continue;
            using var sha256 = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            return new AuditPoint(seq, line.ComputeHash(sha256));
        }
        return null;
    }

    /// <summary>
    /// Records after a number, oldest first: at most <paramref name="limit"/>, and no more than about 1 MiB of them.
    /// Lines that are no records are left out; verification names them.
    /// </summary>
    /// <exception cref="StorageException">The log cannot be read.</exception>
    public AuditPage Page(long after, int limit)
    {
        var records = new List<JsonElement>();
        (long last, long bytes, bool more) = (after, 0, false);
        foreach (AuditSegment segment in Segments())
        {
            ForEachLine(segment, FirstAtOrAfter(segment, after + 1), (line, _) =>
            {
                if (!AuditLine.TryParse(line, out AuditLine record) || !record.IsCanonical())
                    return true;
                more = records.Count == limit || bytes > PageBytesMax;
                if (more)
                    return false;
                records.Add(JsonDocument.Parse(line.ToArray()).RootElement);
                (last, bytes) = (record.Seq, bytes + line.Length);
                return true;
            });
            if (more)
                break;
        }
        return new AuditPage(records, more ? last : null);
    }

    /// <summary>Feeds all segments to a verifier.</summary>
    /// <exception cref="StorageException">The log cannot be read.</exception>
    public AuditVerifyResponse Verify(AuditVerifier verifier)
    {
        byte[] chunk = new byte[ChunkBytes];
        foreach (AuditSegment segment in Segments())
        {
            verifier.BeginSegment(segment.Name);
            for (long at = 0; at < segment.Length;)
            {
                int room = (int)Math.Min(ChunkBytes, segment.Length - at);
                int count = file.Read(segment.Name, at, chunk.AsSpan(0, room));
                if (count == 0)
                    break;
                verifier.Add(chunk.AsSpan(0, count));
                at += count;
            }
        }
        return verifier.Finish();
    }

    /// <summary>Whether bytes of the newest segment are a chain from one point to another.</summary>
    public static bool ChainReaches(IAuditFile file, long from, long to, AuditPoint start, AuditPoint end)
    {
        using var sha256 = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        AuditPoint at = start;
        var reader = new AuditReader(file, () => to);
        reader.ForEachLine(new AuditSegment(AuditFormat.NewestSegment, to), from, (line, _) =>
        {
            if (!AuditLine.TryParse(line, out AuditLine record) || record.Seq != at.Seq + 1 || record.Prev != at.Head
                || record.Hash != record.ComputeHash(sha256))
            {
                return false;
            }
            at = new AuditPoint(record.Seq, record.Hash);
            return true;
        });
        return at == end;
    }

    public static void ReadExactly(IAuditFile file, string segment, long offset, Span<byte> into)
    {
        while (into.Length > 0)
        {
            int count = file.Read(segment, offset, into);
            if (count == 0)
                throw new StorageException("audit_short", $"{segment} ended while it was read: somebody else cuts it.");
            into = into[count..];
            offset += count;
        }
    }

    /// <summary>Segments, oldest first; the newest ends at its last whole line.</summary>
    private List<AuditSegment> Segments()
    {
        long newest = wholeLength();
        return [.. file.Segments().Where(s => s.IsOfChain).Select(s =>
            s.Name == AuditFormat.NewestSegment ? s with { Length = Math.Min(newest, s.Length) } : s)];
    }

    /// <summary>Offset of the first line of at least this number; the segment's length if there is none.</summary>
    private long FirstAtOrAfter(AuditSegment segment, long seq)
    {
        // Numbers rise through a file, so halving finds the place in a few reads. low: of a line that begins before it,
        // or 0; high: at or behind it.
        (long low, long high) = (0, segment.Length);
        while (high - low > ChunkBytes)
        {
            long middle = low + ((high - low) / 2);
            (long at, long found) = FirstLineBehind(segment, middle);
            if (at >= high || found < 0)
                break;
            if (found < seq)
                low = at;
            else
                high = at;
        }
        long result = segment.Length;
        ForEachLine(segment, low, (line, at) =>
        {
            if (SeqOf(line) is { } found && found < seq)
                return true;
            result = at;
            return false;
        });
        return result;
    }

    private (long At, long Seq) FirstLineBehind(AuditSegment segment, long offset)
    {
        byte[] bytes = new byte[2 * AuditFormat.MaxLineBytes];
        ReadOnlySpan<byte> text = bytes.AsSpan(0, file.Read(segment.Name, offset, bytes));
        int begin = text.IndexOf((byte)'\n') + 1;
        return begin == 0 ? (segment.Length, -1) : (offset + begin, SeqOf(text[begin..]) ?? -1);
    }

    private static long? SeqOf(ReadOnlySpan<byte> line) =>
        line.StartsWith("{\"seq\":"u8)
        && System.Buffers.Text.Utf8Parser.TryParse(line[7..], out long seq, out int used) && line.Length > 7 + used
        && line[7 + used] == ','
            ? seq : null;

    private delegate bool OnLine(ReadOnlySpan<byte> line, long offset);

    private void ForEachLine(AuditSegment segment, long from, OnLine onLine)
    {
        byte[] buffer = new byte[ChunkBytes + AuditFormat.MaxLineBytes];
        int held = 0;
        for (long at = from; at < segment.Length;)
        {
            int room = (int)Math.Min(buffer.Length - held, segment.Length - at);
            int count = file.Read(segment.Name, at, buffer.AsSpan(held, room));
            if (count == 0)
                return;
            at += count;
            held += count;
            int begin = 0;
            while (buffer.AsSpan(begin, held - begin).IndexOf((byte)'\n') is >= 0 and var length)
            {
                if (!onLine(buffer.AsSpan(begin, length), at - held + begin))
                    return;
                begin += length + 1;
            }
            held -= begin;
            buffer.AsSpan(begin, held).CopyTo(buffer);

            // A line longer than any record is given in pieces; none of them parses.
            if (held == buffer.Length)
            {
                if (!onLine(buffer.AsSpan(0, held), at - held))
                    return;
                held = 0;
            }
        }
    }
}
