using LicenseAgent.Protocol.Audit;

namespace LicenseAgent.Daemon.Ports;

/// <summary>
/// The files of the audit log: the newest segment, <c>audit.log</c>, and closed ones,
/// <c>audit-&lt;first seq&gt;.log</c>. Reads and appends are synchronous; what makes durable runs on one thread, in
/// order. A failure is a <see cref="StorageException"/>.
/// </summary>
internal interface IAuditFile
{
    /// <summary>
    /// The files, <c>audit.log</c> always there and last, before it its closed segments, oldest first, and before those
    /// what <see cref="CloseAsync"/> set aside under other names.
    /// </summary>
    IReadOnlyList<AuditSegment> Segments();

    /// <summary>Bytes of a segment from an offset: at most <paramref name="into"/>.Length, fewer at its end.</summary>
    int Read(string segment, long offset, Span<byte> into);

    /// <summary>
    /// One write(2) of whole lines to the end of <c>audit.log</c>. After a failure any beginning of
    /// <paramref name="lines"/> may stand there.
    /// </summary>
    void Append(ReadOnlySpan<byte> lines);

    /// <summary>
    /// Makes durable what was appended before the call. After a failure nothing appended since the last success may be
    /// trusted to be on the disk, whatever later calls say, until <see cref="CutAsync"/> wrote a new file.
    /// </summary>
    Task SyncAsync();

    /// <summary>
    /// Leaves the first <paramref name="length"/> bytes of <c>audit.log</c>, durably: by cutting the file, or, with
    /// <paramref name="rewrite"/>, by a new file in its place.
    /// </summary>
    Task CutAsync(long length, bool rewrite);

    /// <summary>Makes <c>audit.log</c> durable, gives it another name and begins an empty one.</summary>
    Task CloseAsync(string name);
}

/// <summary>A file of the log.</summary>
/// <param name="Length">In bytes.</param>
internal readonly record struct AuditSegment(string Name, long Length)
{
    /// <summary>Part of the present chain, by its name.</summary>
    public bool IsOfChain => Name == AuditFormat.NewestSegment || AuditFormat.TryReadSegmentName(Name, out _);
}
