using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Daemon.Audit;

/// <summary>
/// Reads the log as it stands on the disk now, on the caller's thread, beside whoever appends: it looks no further than
/// the whole lines written when the call began. A segment that is closed meanwhile is read on under its new name.
/// </summary>
/// <param name="newest">What <c>audit.log</c> is at the moment.</param>
internal sealed class AuditReader(IAuditFile file, Func<AuditExtent> newest)
{
    private const int ChunkBytes = 64 * 1024;
    private const int PageBytesMax = 1024 * 1024;

    // Most records have some hundred bytes: a few are read where a line is looked for, and all it may have if need be.
    private const int FewBytes = 4 * 1024;

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
            ReadOnlySpan<byte> text = ReadSome(segment.Name, at, FewBytes);
            if (!text.Contains((byte)'\n'))
                text = ReadSome(segment.Name, at, AuditFormat.MaxLineBytes);
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
        foreach (AuditSegment segment in From(after + 1))
        {
            ForwardLines.Each(Read, segment, FirstAtOrAfter(segment, after + 1), (line, _) =>
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
        List<AuditSegment> segments = Segments();
        foreach (AuditSegment segment in segments)
        {
            // Empty, it does not make the one before it a file that others follow.
            if (segment.Length == 0 && segments.Count > 1)
                continue;
            verifier.BeginSegment(NameFor(segment));
            for (long at = 0; at < segment.Length;)
            {
                int room = (int)Math.Min(ChunkBytes, segment.Length - at);
                int count = Read(segment.Name, at, chunk.AsSpan(0, room));
                if (count == 0)
                    break;
                verifier.Add(chunk.AsSpan(0, count));
                at += count;
            }
        }
        return verifier.Finish();
    }

    /// <summary>Of a log that nobody writes.</summary>
    public static AuditReader AtRest(IAuditFile file) => new(file, () => new AuditExtent(
        AuditSegments.FirstSeq(file, file.Segments()[^1]) ?? long.MaxValue, file.Segments()[^1].Length));

    /// <summary>Whether bytes of the newest segment are a chain from one point to another.</summary>
    public static bool ChainReaches(IAuditFile file, long from, long to, AuditPoint start, AuditPoint end)
    {
        using var sha256 = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        AuditPoint at = start;
        ForwardLines.Each(file.Read, new AuditSegment(AuditFormat.NewestSegment, to), from, (line, _) =>
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
        AuditExtent known = newest();
        List<AuditSegment> closed = [.. file.Segments().Where(s => s.ClosedFirstSeq < known.FirstSeq)];
        return [.. closed, new AuditSegment(NewestName(known.FirstSeq), known.Length)];
    }

    /// <summary>Those that can hold a record of this number or a later one.</summary>
    private IEnumerable<AuditSegment> From(long seq)
    {
        List<AuditSegment> all = Segments();
        int first = all.FindLastIndex(s => FirstSeqOf(s.Name) <= seq);
        return all.Skip(Math.Max(0, first));
    }

    // audit.log under the number it will be closed with, so that a read knows whether it still is that file.
    private static string NewestName(long firstSeq) => $"{AuditFormat.NewestSegment}#{firstSeq}";

    private static long FirstSeqOf(string name) =>
        AuditFormat.TryReadSegmentName(name, out long closed) ? closed : NewestFirstSeq(name) ?? 0;

    private static long? NewestFirstSeq(string name) =>
        name.StartsWith(AuditFormat.NewestSegment + "#", StringComparison.Ordinal)
            ? long.Parse(name.AsSpan(AuditFormat.NewestSegment.Length + 1), CultureInfo.InvariantCulture)
            : null;

    private static string NameFor(AuditSegment segment) =>
        NewestFirstSeq(segment.Name) is null ? segment.Name : AuditFormat.NewestSegment;

    private int Read(string segment, long offset, Span<byte> into)
    {
        if (NewestFirstSeq(segment) is not { } firstSeq)
            return file.Read(segment, offset, into);

        // The file is exchanged first and known as exchanged before anything stands in the new one.
        int count = file.Read(AuditFormat.NewestSegment, offset, into);
        return newest().FirstSeq == firstSeq && (count > 0 || !IsThere(AuditFormat.SegmentName(firstSeq)))
            ? count
            : file.Read(AuditFormat.SegmentName(firstSeq), offset, into);
    }

    private bool IsThere(string name) => file.Segments().Any(s => s.Name == name);

    /// <summary>Offset of the first line of at least this number; the segment's length if there is none.</summary>
    private long FirstAtOrAfter(AuditSegment segment, long seq)
    {
        // Numbers rise through a file, so halving finds the place in a few reads. low: of a line that begins before it,
        // or 0; high: at or behind it.
        (long low, long high) = (0, segment.Length);
        while (high - low > FewBytes)
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
        long result = high;
        ForwardLines.Each(Read, segment with { Length = high }, low, (line, at) =>
        {
            if (SeqOf(line) is { } found && found < seq)
                return true;
            result = at;
            return false;
        });
        return result;
    }

    /// <summary>The first whole line behind an offset; number −1 where there is none, or none that has one.</summary>
    private (long At, long Seq) FirstLineBehind(AuditSegment segment, long offset)
    {
        foreach (int size in (ReadOnlySpan<int>)[FewBytes, 2 * AuditFormat.MaxLineBytes])
        {
            ReadOnlySpan<byte> text = ReadSome(segment.Name, offset, size);
            int begin = text.IndexOf((byte)'\n') + 1;
            if (begin > 0 && SeqOf(text[begin..]) is { } seq)
                return (offset + begin, seq);
        }
        return (segment.Length, -1);
    }

    private ReadOnlySpan<byte> ReadSome(string segment, long offset, int bytesMax)
    {
        byte[] bytes = GC.AllocateUninitializedArray<byte>(bytesMax);
        return bytes.AsSpan(0, Read(segment, offset, bytes));
    }

    private static long? SeqOf(ReadOnlySpan<byte> line) =>
        line.StartsWith("{\"seq\":"u8)
        && System.Buffers.Text.Utf8Parser.TryParse(line[7..], out long seq, out int used) && line.Length > 7 + used
        && line[7 + used] == ','
            ? seq : null;
}

/// <summary>What <c>audit.log</c> is at a moment.</summary>
/// <param name="FirstSeq">Number of its first record, or of the one it will have.</param>
/// <param name="Length">Bytes of whole lines.</param>
internal readonly record struct AuditExtent(long FirstSeq, long Length);
