using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Json;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Management;

namespace LicenseAgent.Daemon.LocalApi.Operators;

/// <summary>
/// Pages of the audit log as it stands on disk: <see cref="AuditPage"/> with each record's own bytes, not written anew.
/// Finds its place by bisection, since a segment has up to 64 MiB.
/// </summary>
internal sealed class AuditPages(IAuditFile file)
{
    public const int RecordsDefault = 100, RecordsMax = 1000;

    // A page is at most this and one line more; the next page goes on from there.
    private const int PageBytesMax = 1024 * 1024;
    private const int ChunkBytes = 64 * 1024;

    private static readonly byte[] LineStart = "{\"seq\":"u8.ToArray();

    /// <summary>Records after a sequence number; false when a line is no JSON, which verification will name.</summary>
    public bool TryWrite(long after, int limit, IBufferWriter<byte> body)
    {
        var page = new Page(after, limit);
        foreach (string segment in SegmentsFrom(after))
        {
            Copy(segment, PlaceAfter(segment, after), page);
            if (page.IsFull || page.IsBroken)
                break;
        }
        if (page.IsBroken)
            return false;
        body.Write("{\"records\":["u8);
        body.Write(page.Records.WrittenSpan);
        string next = page.IsFull ? page.LastSeq.ToString(CultureInfo.InvariantCulture) : "null";
        body.Write(Encoding.ASCII.GetBytes($"],\"next\":{next}}}"));
        return true;
    }

    /// <summary>From the newest segment that begins at or before the wanted record.</summary>
    private IEnumerable<string> SegmentsFrom(long after)
    {
        IReadOnlyList<string> segments = file.Segments();
        int from = segments.Count - 1;
        byte[] start = new byte[64];
        while (from > 0 && !(SeqOf(start.AsSpan(0, file.Read(segments[from], 0, start))) <= after + 1))
            from--;
        return segments.Skip(Math.Max(from, 0));
    }

    /// <summary>An offset at a line's start, at most one chunk before the first record wanted.</summary>
    private long PlaceAfter(string segment, long after)
    {
        byte[] chunk = ArrayPool<byte>.Shared.Rent(ChunkBytes);
        try
        {
            long low = 0, high = ChunkBytes;
            while (file.Read(segment, high, chunk.AsSpan(0, 1)) > 0)
                high *= 2;
            while (high - low > ChunkBytes)
            {
                long middle = low + ((high - low) / 2);
                ReadOnlySpan<byte> read = chunk.AsSpan(0, file.Read(segment, middle, chunk.AsSpan(0, ChunkBytes)));
                int line = read.IndexOf((byte)'\n') + 1;
                if (line > 0 && SeqOf(read[line..]) is { } seq && seq <= after)
                    low = middle + line;
                else
                    high = middle;
            }
            return low;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(chunk);
        }
    }

    private void Copy(string segment, long offset, Page page)
    {
        byte[] chunk = ArrayPool<byte>.Shared.Rent(ChunkBytes);
        int kept = 0;
        while (!page.IsFull && !page.IsBroken)
        {
            if (kept == chunk.Length)
                Array.Resize(ref chunk, chunk.Length * 2);
            int read = file.Read(segment, offset + kept, chunk.AsSpan(kept));
            if (read == 0)
                break;
            int used = page.Take(chunk.AsSpan(0, kept + read));
            offset += used;
            kept = kept + read - used;
            chunk.AsSpan(used, kept).CopyTo(chunk);
        }
        ArrayPool<byte>.Shared.Return(chunk);
    }

    private static long? SeqOf(ReadOnlySpan<byte> line) =>
        line.StartsWith(LineStart) && Utf8Parser.TryParse(line[LineStart.Length..], out long seq, out _) ? seq : null;

    private sealed class Page(long after, int limit)
    {
        private int _count;

        public ArrayBufferWriter<byte> Records { get; } = new();

        public long LastSeq { get; private set; }

        public bool IsFull { get; private set; }

        public bool IsBroken { get; private set; }

        /// <summary>Takes whole lines; the bytes used. A torn tail is left alone.</summary>
        public int Take(ReadOnlySpan<byte> bytes)
        {
            int used = 0;
            while (!IsFull && !IsBroken && bytes[used..].IndexOf((byte)'\n') is >= 0 and var end)
            {
                TakeLine(bytes.Slice(used, end));
                used += end + 1;
            }
            return used;
        }

        private void TakeLine(ReadOnlySpan<byte> line)
        {
            if (SeqOf(line) is not { } seq || !IsJson(line))
            {
                IsBroken = true;
                return;
            }
            if (seq <= after)
                return;
            if (_count == limit || Records.WrittenCount > PageBytesMax)
            {
                IsFull = true;
                return;
            }
            if (_count++ > 0)
                Records.Write(","u8);
            Records.Write(line);
            LastSeq = seq;
        }

        private static bool IsJson(ReadOnlySpan<byte> line)
        {
            var reader = new Utf8JsonReader(line);
            try
            {
                return reader.Read() && reader.TrySkip() && !reader.Read();
            }
            catch (JsonException)
            {
                // A line that was tampered with; it cannot stand in an answer that is JSON.
                return false;
            }
        }
    }
}
