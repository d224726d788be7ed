using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;

namespace LicenseAgent.Daemon.Audit;

/// <summary>
/// Lines of files from the last to the first, read in chunks. Bytes behind the last newline of a file are skipped.
/// </summary>
internal sealed class BackwardLines(IAuditFile file, IEnumerable<AuditSegment> segments, int chunkBytes = 256 * 1024)
{
    private readonly Stack<AuditSegment> _segments = new(segments);

    // Of the current segment: the bytes from _start on, of which those before _end are not yet given out.
    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(chunkBytes + AuditFormat.MaxLineBytes);
    private string _segment = "";
    private long _start;
    private int _end = -1;
    private int _lineStart;
    private int _lineEnd;

    /// <summary>Without its newline. A line longer than any record is given without its end.</summary>
    public ReadOnlySpan<byte> Current => _buffer.AsSpan(_lineStart, _lineEnd - _lineStart);

    /// <summary>The segment of <see cref="Current"/>.</summary>
    public string Segment => _segment;

    /// <summary>Where <see cref="Current"/> begins in it.</summary>
    public long Offset => _start + _lineStart;

    /// <summary>Where the line behind <see cref="Current"/> begins.</summary>
    public long OffsetBehind => _start + _lineEnd + 1;

    /// <summary>The present chain, from its end.</summary>
    public static BackwardLines OfChain(IAuditFile file) => new(file, AuditSegments.OfChain(file));

    public bool MoveNext()
    {
        while (true)
        {
            if (_end < 0 && !OpenSegment())
                return false;
            int newline = _buffer.AsSpan(0, Math.Max(0, _end)).LastIndexOf((byte)'\n');
            if (newline < 0 && _start > 0)
            {
                ReadChunk();
                continue;
            }
            if (_end < 0)
                continue;
            (_lineStart, _lineEnd, _end) = (newline + 1, _end, newline);
            return true;
        }
    }

    /// <summary>Length of the whole lines of a segment: up to and including its last newline.</summary>
    public static long WholeLength(IAuditFile file, AuditSegment segment)
    {
        byte[] chunk = GC.AllocateUninitializedArray<byte>((int)Math.Min(segment.Length, 64 * 1024));
        for (long end = segment.Length; end > 0; end -= Math.Min(end, chunk.Length))
        {
            int count = (int)Math.Min(end, chunk.Length);
            AuditReader.ReadExactly(file, segment.Name, end - count, chunk.AsSpan(0, count));
            int newline = chunk.AsSpan(0, count).LastIndexOf((byte)'\n');
            if (newline >= 0)
                return end - count + newline + 1;
        }
        return 0;
    }

    private bool OpenSegment()
    {
        if (!_segments.TryPop(out AuditSegment segment))
            return false;
        _segment = segment.Name;

        // Without the last newline, which ends the line given out first.
        _start = Math.Max(0, WholeLength(file, segment) - 1);
        _end = _start > 0 ? 0 : -1;
        return true;
    }

    private void ReadChunk()
    {
        // A line too long to be a record is none, whatever its end says.
        int keep = Math.Min(_end, AuditFormat.MaxLineBytes);
        int count = (int)Math.Min(_start, chunkBytes);
        _buffer.AsSpan(0, keep).CopyTo(_buffer.AsSpan(count));
        AuditReader.ReadExactly(file, _segment, _start - count, _buffer.AsSpan(0, count));
        _start -= count;
        _end = count + keep;
    }
}
