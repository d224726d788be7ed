using System.Security.Cryptography;
using System.Text;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Daemon.Audit;

/// <summary>What the end of the log says when it is opened.</summary>
/// <param name="Point">The last whole record; the genesis of the identity where there is none.</param>
/// <param name="Length">Bytes of whole lines in the newest segment.</param>
/// <param name="Torn">Bytes behind them: a line that a crash cut short, or a hole and what follows it.</param>
/// <param name="Damaged">Whole lines at the end that are no records.</param>
/// <param name="Clean">The last record is a stop, or there is none.</param>
/// <param name="SinceCheckpoint">Records since the last checkpoint, as far as was looked.</param>
/// <param name="CheckpointUpMs">When it was written, if in this boot.</param>
/// <param name="OfAnother">The log is whole at its beginning and began for another identity.</param>
/// <param name="FirstSeq">Number of the newest segment's first record, or of the one it will have.</param>
internal sealed record AuditEnd(
    AuditPoint Point, long Length, long Torn, int Damaged, bool Clean, int SinceCheckpoint, long? CheckpointUpMs,
    bool OfAnother, long FirstSeq)
{
    public const string StartedEvent = "agent_started";
    public const string StoppedEvent = "agent_stopped";

    // Checkpoints come every thousand records.
    private const int LinesMax = 1_200;
    private const int SegmentsLooked = 2;

    /// <summary>Reads the end of the log.</summary>
    /// <exception cref="StorageException">It cannot be read.</exception>
    public static AuditEnd Read(IAuditFile file, AuditIdentity identity, Es256Verify verify, string bootId)
    {
        List<AuditSegment> chain = AuditSegments.OfChain(file);
        AuditSegment newest = chain[^1];
        long length = AuditHole.Find(file, newest, identity, verify) ?? BackwardLines.WholeLength(file, newest);
        chain[^1] = newest with { Length = length };
        var genesis = new AuditPoint(0, identity.Genesis);
        var end = new AuditEnd(
            genesis, length, newest.Length - length, 0, Clean: true, 0, null, OfAnother: false, FirstSeq: 1);
        var lines = new BackwardLines(file, chain);
        while (lines.MoveNext())
        {
            if (AuditLine.TryParse(lines.Current, out AuditLine last))
            {
                using var sha256 = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

                // Of an altered line the hash it has, not the one it states: the damage stays where it is.
                end = end with
                {
                    Point = new AuditPoint(last.Seq, last.ComputeHash(sha256)),
                    Clean = last.Event.SequenceEqual("agent_stopped"u8),
                };
                end = LookBack(lines, end, Encoding.UTF8.GetBytes(bootId));
                break;
            }
            end = end with { Damaged = end.Damaged + 1 };
        }
        return end with
        {
            OfAnother = !identity.IsUnknown && IsOfAnother(file, chain, identity, verify),
            FirstSeq = AuditSegments.FirstSeq(file, chain[^1]) ?? end.Point.Seq + 1,
        };
    }

    private static bool IsOfAnother(
        IAuditFile file, List<AuditSegment> chain, AuditIdentity identity, Es256Verify verify)
    {
        AuditSegment oldest = chain[0];
        byte[] bytes = new byte[AuditFormat.MaxLineBytes];
        ReadOnlySpan<byte> text = bytes.AsSpan(0, file.Read(oldest.Name, 0, bytes));
        int end = text.IndexOf((byte)'\n');
        using var sha256 = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        if (end <= 0 || !AuditLine.TryParse(text[..end], out AuditLine first)
            || first.Hash != first.ComputeHash(sha256))
        {
            return false;
        }
        if (first.Seq == 1)
            return first.Prev != identity.Genesis;

        // The beginning was retired: who signed the last checkpoint tells whose it is. There is one in any such log.
        return AuditSegments.LastCheckpoint(file, chain.TakeLast(SegmentsLooked)) is { } jws
            && !identity.HasSigned(jws, verify);
    }

    private static AuditEnd LookBack(BackwardLines lines, AuditEnd end, byte[] boot)
    {
        int? sinceCheckpoint = null;
        long? checkpointUpMs = null;
        int looked = 0;
        do
        {
            if (!AuditLine.TryParse(lines.Current, out AuditLine line))
                continue;
            if (line.Event.SequenceEqual("checkpoint_written"u8))
            {
                sinceCheckpoint = looked;
                checkpointUpMs = line.Boot.SequenceEqual(boot) ? line.UpMs : null;
            }
        }
        while (++looked < LinesMax && sinceCheckpoint is null && lines.MoveNext());
        return end with { SinceCheckpoint = sinceCheckpoint ?? looked, CheckpointUpMs = checkpointUpMs };
    }
}
