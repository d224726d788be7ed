using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Protocol.Audit;

/// <summary>
/// Judges checkpoints: signed by the agent's key, true of the chain, never going back, and there when they are due.
/// Who rewrites the end of a log can hash it anew, and cannot sign it; so a stretch without checkpoints is a finding,
/// unless the agent said that it could not make one.
/// </summary>
internal sealed class CheckpointJudge(AuditTrust trust, RecentHeads heads)
{
    // The agent makes one after 1 000 records or an hour. A slow TPM and a busy loop get 15 minutes of running time.
    private const int DueAfterRecords = 1_000;
    private const long DueAfterMs = 3_600_000;
    private const long PatienceMs = 900_000;

    private AuditCheckpoint? last;
    private byte[] boot = [];
    private long records;
    private long sinceUpMs;
    private long? dueUpMs;
    private bool reported;

    /// <summary>The record that the last good checkpoint signed.</summary>
    public long LastSeq => last?.Seq ?? 0;

    /// <summary>Good checkpoints so far.</summary>
    public long Count { get; private set; }

    public (string Code, string Detail)? Judge(AuditLine line)
    {
        if (trust.SigningKey is null)
            return null;
        if (line.Event.SequenceEqual("checkpoint_written"u8))
        {
            Restart(line.UpMs);
            return JudgeCheckpoint(line);
        }
        if (line.Event.SequenceEqual("checkpoint_missed"u8))
            Restart(line.UpMs);
        return JudgeStretch(line);
    }

    /// <summary>Whether a <c>segment_retired</c> record says that the log may begin behind this point.</summary>
    public bool Explains(AuditLine line, AuditPoint before)
    {
        RetiredSegment retired;
        try
        {
            retired = StrictJson.Read(line.Details, AuditJsonContext.Strict.RetiredSegment);
        }
        catch (ProtocolException)
        {
            // The beginning stays unexplained, and that is the finding.
            return false;
        }
        return retired.LastSeq == before.Seq && retired.Head == before.Head
            && (retired.Checkpoint is null || trust.SigningKey is null || Open(retired.Checkpoint) is not null);
    }

    private (string Code, string Detail)? JudgeCheckpoint(AuditLine line)
    {
        CheckpointDetails details;
        try
        {
            details = StrictJson.Read(line.Details, AuditJsonContext.Strict.CheckpointDetails);
        }
        catch (ProtocolException)
        {
            return ("checkpoint_content", "The details are not those of a checkpoint.");
        }
        if (Open(details.Jws) is not { } checkpoint)
            return ("checkpoint_signature", "Not signed by the agent's key.");
        if (checkpoint.AgentId != trust.AgentId)
            return ("checkpoint_content", "Of another agent.");
        if (checkpoint.Seq >= line.Seq || heads.At(checkpoint.Seq) != checkpoint.Head)
            return ("checkpoint_content", $"It signs another record {checkpoint.Seq} than stands here.");
        if (last is not null && (checkpoint.Seq <= last.Seq || checkpoint.Generation < last.Generation
            || checkpoint.ResetCount < last.ResetCount))
        {
            return ("checkpoint_content", "Older than the checkpoint before it.");
        }
        last = checkpoint;
        Count++;
        return null;
    }

    private (string Code, string Detail)? JudgeStretch(AuditLine line)
    {
        if (!line.Boot.SequenceEqual(boot))
        {
            // Running time begins anew with a boot.
            (boot, sinceUpMs, dueUpMs) = (line.Boot.ToArray(), line.UpMs, null);
        }
        records++;
        if (dueUpMs is not { } due)
        {
            if (records >= DueAfterRecords || line.UpMs - sinceUpMs >= DueAfterMs)
                dueUpMs = line.UpMs;
            return null;
        }
        if (reported || line.UpMs - due < PatienceMs)
            return null;
        reported = true;
        return ("checkpoint_overdue", $"{records} records since the last checkpoint, and none says why.");
    }

    private void Restart(long upMs) => (records, sinceUpMs, dueUpMs, reported) = (0, upMs, null, false);

    private AuditCheckpoint? Open(string jws)
    {
        try
        {
            return AuditCheckpoint.Open(
                System.Text.Encoding.UTF8.GetBytes(jws), trust.SigningKey!, trust.VerifyEs256);
        }
        catch (ProtocolException)
        {
            // Signed, and no checkpoint of this version: worth as much as none.
            return null;
        }
    }
}
