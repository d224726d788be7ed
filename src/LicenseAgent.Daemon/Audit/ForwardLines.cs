using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;

namespace LicenseAgent.Daemon.Audit;

/// <summary>Lines of a file from an offset on, read in chunks.</summary>
internal static class ForwardLines
{
    private const int ChunkBytes = 64 * 1024;

    /// <summary>What <see cref="IAuditFile.Read"/> is.</summary>
    public delegate int ReadAt(string segment, long offset, Span<byte> into);

    /// <summary>Takes a line, without its newline, and where it begins; whether to go on.</summary>
    public delegate bool OnLine(ReadOnlySpan<byte> line, long offset);

    /// <summary>Whole lines only. A line longer than any record is given in pieces; none of them parses.</summary>
    public static void Each(ReadAt read, AuditSegment segment, long from, OnLine onLine)
    {
        // One more than there is, so that what has no end never fills it.
        long rest = Math.Clamp(segment.Length - from + 1, 1, ChunkBytes + AuditFormat.MaxLineBytes);
        byte[] buffer = GC.AllocateUninitializedArray<byte>((int)rest);
        int held = 0;
        for (long at = from; at < segment.Length;)
        {
            int room = (int)Math.Min(buffer.Length - held, segment.Length - at);
            int count = read(segment.Name, at, buffer.AsSpan(held, room));
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
            if (held == buffer.Length)
            {
                if (!onLine(buffer.AsSpan(0, held), at - held))
                    return;
                held = 0;
            }
        }
    }
}
