using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Jose;

namespace LicenseAgent.Daemon.Audit;

/// <summary>
/// What a failed fsync leaves when the machine, or the process, goes down before a new file was written: zeros where
/// records should begin, and perhaps records behind them that were written in that moment. No point of the chain in or
/// behind the zeros was ever fsynced, so none has left the process: like a torn line it is cut at start, and said so.
/// <para>
/// Whoever makes such a hole by hand has cut the tail, and is found as one: by every anchor, and at the next witness.
/// Zeros in front of a start, or of a checkpoint that signs a record behind them, are no such hole; they stay, and
/// verification names them.
/// </para>
/// </summary>
internal static class AuditHole
{
    // Writing goes on for no longer than the fsync that fails.
    private const int LinesLooked = 8_192;

    /// <returns>Where the whole lines before the hole end; <see langword="null"/> where there is none.</returns>
    /// <exception cref="StorageException">The log cannot be read.</exception>
    public static long? Find(IAuditFile file, AuditSegment newest, AuditIdentity identity, Es256Verify verify)
    {
        var lines = new BackwardLines(file, [newest]);
        var signed = new List<string>();
        long? hole = null;
        for (int looked = 0; looked < LinesLooked && lines.MoveNext(); looked++)
        {
            if (!AuditLine.TryParse(lines.Current, out AuditLine line))
            {
                if (AuditFormat.BeginsWithHole(lines.Current, lines.Offset))
                    hole = lines.Offset;
                continue;
            }
            if (hole is not null)
            {
                long before = line.Seq;
                return signed.Exists(jws => identity.Signed(jws, verify)?.Seq > before) ? null : hole;
            }
            if (line.Event.SequenceEqual("agent_started"u8) || line.Event.SequenceEqual("agent_stopped"u8))
                return null;
            if (AuditCheckpoint.JwsOf(line) is { } checkpoint)
                signed.Add(checkpoint);
        }
        return signed.Count == 0 ? hole : null;
    }
}
