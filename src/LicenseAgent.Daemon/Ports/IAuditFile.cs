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

    /// <summary>
    /// Gives <c>audit.log</c>, all of it made durable by <see cref="SyncAsync"/>, another name and begins an empty one.
    /// After a failure the file goes on as <c>audit.log</c>; the other name may be there as well, for the same file.
    /// </summary>
    Task CloseAsync(string name);

    /// <summary>
    /// Gives a closed file another name, taking the place of what has it, or removes it; durably. One that is not there
    /// is no failure: an earlier try may have come that far. Under the name of <c>audit.log</c> it is written on.
    /// </summary>
    /// <param name="to">The new name; <see langword="null"/> to remove the file.</param>
    Task MoveAsync(string name, string? to);
}

/// <summary>A file of the log.</summary>
/// <param name="Length">In bytes.</param>
internal readonly record struct AuditSegment(string Name, long Length)
{
    /// <summary>Part of the present chain, by its name.</summary>
    public bool IsOfChain => Name == AuditFormat.NewestSegment || ClosedFirstSeq is not null;

    /// <summary>The number a closed segment of the chain has in its name.</summary>
    public long? ClosedFirstSeq => AuditFormat.TryReadSegmentName(Name, out long first) ? first : null;
}
