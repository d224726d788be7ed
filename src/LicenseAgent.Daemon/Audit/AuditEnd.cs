using System.Security.Cryptography;
using System.Text;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Daemon.Audit;

/// <summary>What the end of the log says when it is opened.</summary>
/// <param name="Point">The last whole record; the genesis of the identity where there is none.</param>
/// <param name="Length">Bytes of whole lines in the newest segment.</param>
/// <param name="Torn">Bytes of a line behind them that a crash cut short.</param>
/// <param name="Damaged">Whole lines at the end that are no records.</param>
/// <param name="Clean">The last record is a stop, or there is none.</param>
/// <param name="SinceCheckpoint">Records since the last checkpoint, as far as was looked.</param>
/// <param name="CheckpointUpMs">When it was written, if in this boot.</param>
/// <param name="OfAnother">The log is whole at its beginning and began for another identity.</param>
/// <param name="Recorded">Event, op and outcome of what was recorded since the last clean stop.</param>
internal sealed record AuditEnd(
    AuditPoint Point, long Length, long Torn, int Damaged, bool Clean, int SinceCheckpoint, long? CheckpointUpMs,
    bool OfAnother, HashSet<string> Recorded)
{
    public const string StartedEvent = "agent_started";
    public const string StoppedEvent = "agent_stopped";

    // Checkpoints come every thousand records; a transition that a crash cut off is among the last few.
    private const int LinesMax = 1_200;

    /// <summary>What equal records of one transition have in common.</summary>
    public static string KeyOf(AuditEntry entry) =>
        Key(entry.Event, entry.Op ?? "", entry.Outcome.ToString().ToLowerInvariant());

    /// <summary>Reads the end of the log.</summary>
    /// <exception cref="StorageException">It cannot be read.</exception>
    public static AuditEnd Read(IAuditFile file, AuditIdentity identity, string bootId)
    {
        AuditSegment newest = file.Segments()[^1];
        long length = BackwardLines.WholeLength(file, newest);
        var genesis = new AuditPoint(0, identity.Genesis);
        long torn = newest.Length - length;
        var end = new AuditEnd(genesis, length, torn, 0, Clean: true, 0, null, IsOfAnother(file, identity), []);
        var lines = BackwardLines.OfChain(file);
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
                return LookBack(lines, end, Encoding.UTF8.GetBytes(bootId));
            }
            end = end with { Damaged = end.Damaged + 1 };
        }
        return end;
    }

    private static bool IsOfAnother(IAuditFile file, AuditIdentity identity)
    {
        byte[] bytes = new byte[AuditFormat.MaxLineBytes];
        ReadOnlySpan<byte> text = bytes.AsSpan(0, file.Read(file.Segments().First(s => s.IsOfChain).Name, 0, bytes));
        int end = text.IndexOf((byte)'\n');
        using var sha256 = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        return end > 0 && AuditLine.TryParse(text[..end], out AuditLine first) && first.Seq == 1
            && first.Hash == first.ComputeHash(sha256) && first.Prev != identity.Genesis;
    }

    private static AuditEnd LookBack(BackwardLines lines, AuditEnd end, byte[] boot)
    {
        bool sameRun = !end.Clean;
        int? sinceCheckpoint = null;
        long? checkpointUpMs = null;
        int looked = 0;
        do
        {
            if (!AuditLine.TryParse(lines.Current, out AuditLine line))
                continue;
            sameRun &= !line.Event.SequenceEqual("agent_stopped"u8);
            if (sameRun && line.Op.Length > 0)
                end.Recorded.Add(Key(Utf8(line.Event), Utf8(line.Op), Utf8(line.Outcome)));
            if (sinceCheckpoint is null && line.Event.SequenceEqual("checkpoint_written"u8))
            {
                sinceCheckpoint = looked;
                checkpointUpMs = line.Boot.SequenceEqual(boot) ? line.UpMs : null;
            }
        }
        while (++looked < LinesMax && (sameRun || sinceCheckpoint is null) && lines.MoveNext());
        return end with { SinceCheckpoint = sinceCheckpoint ?? looked, CheckpointUpMs = checkpointUpMs };
    }

    private static string Key(string what, string op, string outcome) => $"{what}|{op}|{outcome}";

    private static string Utf8(ReadOnlySpan<byte> text) => Encoding.UTF8.GetString(text);
}
