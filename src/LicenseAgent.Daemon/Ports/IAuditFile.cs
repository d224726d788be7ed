namespace LicenseAgent.Daemon.Ports;

/// <summary>
/// The files of the audit log: the newest segment, <c>audit.log</c>, and closed ones, <c>audit-&lt;first seq&gt;.log</c>.
/// Appends are synchronous and ordered; a failure is a <see cref="StorageException"/>.
/// </summary>
internal interface IAuditFile
{
    /// <summary>Names of the segments, oldest first, <c>audit.log</c> last.</summary>
    IReadOnlyList<string> Segments();

    /// <summary>Bytes of a segment from an offset: at most <paramref name="into"/>.Length, fewer at its end.</summary>
    int Read(string segment, long offset, Span<byte> into);

    /// <summary>One write(2) of whole lines to <c>audit.log</c>.</summary>
    void Append(ReadOnlySpan<byte> lines);

    /// <summary>fsync of <c>audit.log</c>; runs on the audit thread.</summary>
    Task SyncAsync();

    /// <summary>Cuts <c>audit.log</c> to a length (torn tail), or closes it under a segment name.</summary>
    void Truncate(long length);
}
