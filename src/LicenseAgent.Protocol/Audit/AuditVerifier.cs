using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Protocol.Audit;

/// <summary>Whose log it must be, and what is remembered of it elsewhere.</summary>
/// <param name="AgentId">Empty for a log from before enrolment.</param>
/// <param name="SigningKey">Signs the checkpoints; <see langword="null"/> before enrolment.</param>
/// <param name="Anchors">Points outside the log: NV mirror, run state, receipts of the license server.</param>
/// <param name="AnyBeginning">
/// A chain that is over, known by an anchor at its end alone: the hash of that record proves all before it, whoever it
/// began for and however much of its beginning was retired.
/// </param>
public sealed record AuditTrust(
    string AgentId, EcPublicJwk? SigningKey, Es256Verify VerifyEs256, IReadOnlyList<AuditAnchor> Anchors,
    bool AnyBeginning = false);

/// <summary>A point of the chain remembered outside the log.</summary>
/// <param name="Source">Where, for the finding.</param>
public sealed record AuditAnchor(string Source, AuditPoint Point);

/// <summary>
/// Verifies a log: feed all segments, oldest first, each in chunks of any size, then ask for the result. Nothing is
/// serialised again; what is hashed are the bytes as they stand. Memory is bounded whatever it is fed.
/// <para>Findings, with the line that shows them:</para>
/// <list type="bullet">
/// <item><c>malformed</c>: not a record in its one form. <c>altered</c>: the hash does not fit the bytes.</item>
/// <item><c>missing</c>, <c>out_of_order</c>, <c>chain_broken</c>: lines removed, added, swapped or replaced.</item>
/// <item><c>wrong_beginning</c>: begins neither at this identity's genesis nor behind a retired segment.</item>
/// <item><c>segment_missing</c>, <c>segment_name</c>: a segment is not there, or not what its name says.</item>
/// <item><c>checkpoint_signature</c>, <c>checkpoint_content</c>, <c>checkpoint_overdue</c>: not this key's, not what
/// the chain says, or none for too long.</item>
/// <item><c>tail_cut</c>, <c>anchor_mismatch</c>: an anchor names a record that is not there, or another one.</item>
/// </list>
/// A last line without newline is what a power cut leaves, and so are zeros at the end with what was written behind
/// them: their bytes are counted in <c>torn</c> and no finding.
/// </summary>
public sealed class AuditVerifier : IDisposable
{
    /// <summary>Most findings that are listed; verification goes on, and fails, without listing more.</summary>
    public const int FindingsMax = 1_000;

    // Ops of a lifetime fit; beyond it, transitions are no longer counted.
    private const int OpsMax = 1 << 20;

    private readonly AuditTrust trust;
    private readonly Digest32 genesis;
    private readonly CheckpointJudge checkpoints;
    private readonly List<AuditFinding> findings = [];
    private readonly HashSet<Digest32> ops = [];
    private readonly RecentHeads heads = new();
    private readonly IncrementalHash sha256 = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly byte[] partial = new byte[AuditFormat.MaxLineBytes];
    private int partialLength;
    private bool tooLong;

    private string segment = AuditFormat.NewestSegment;
    private long lineNumber;
    private bool atSegmentBegin;

    // Bytes of the file before the line that is being read, and of that line; zeros it begins with.
    private long offset;
    private long lineLength;
    private long lineZeros;
    private TornAt? hole;

    private long firstSeq;
    private AuditPoint end;
    private bool any;

    // The line before was damaged: its place in the chain is taken from what follows it.
    private bool afterDamage;
    private (AuditPoint Before, string File)? retiredBefore;

    /// <summary>Makes a verifier for one log.</summary>
    public AuditVerifier(AuditTrust trust)
    {
        this.trust = trust;
        genesis = AuditFormat.Genesis(trust.AgentId, trust.SigningKey?.Thumbprint().ToString() ?? "");
        end = new AuditPoint(0, genesis);
        checkpoints = new CheckpointJudge(trust, heads);
    }

    /// <summary>Transitions so far: records with an op, equal event, op and outcome counted once.</summary>
    public long Transitions => ops.Count;

    /// <summary>What follows is of this file. An empty <c>audit.log</c> behind others is not fed.</summary>
    public void BeginSegment(string name)
    {
        if (partialLength > 0 || tooLong)
        {
            lineNumber++;
            Damaged("malformed", "The file ends within a line, and another follows it.");
        }
        (segment, lineNumber, atSegmentBegin) = (name, 0, true);
        (partialLength, tooLong) = (0, false);
        (offset, lineLength, lineZeros, hole) = (0, 0, 0, null);
    }

    /// <summary>The next bytes of the file.</summary>
    public void Add(ReadOnlySpan<byte> bytes)
    {
        while (bytes.IndexOf((byte)'\n') is >= 0 and var newline)
        {
            ReadOnlySpan<byte> piece = bytes[..newline];
            bytes = bytes[(newline + 1)..];
            Measure(piece);
            if (partialLength == 0 && !tooLong)
            {
                Line(piece);
            }
            else
            {
                Keep(piece);
                int length = partialLength;
                partialLength = 0;
                Line(tooLong ? default : partial.AsSpan(0, length));
                tooLong = false;
            }
            offset += lineLength + 1;
            (lineLength, lineZeros) = (0, 0);
        }
        Measure(bytes);
        Keep(bytes);
    }

    /// <summary>The result. The verifier is used up.</summary>
    public AuditVerifyResponse Finish()
    {
        long torn = JudgeTornTail();
        if (retiredBefore is { } begin)
        {
            AddFinding(new AuditFinding(begin.File, 1, "wrong_beginning",
                $"The log begins behind record {begin.Before.Seq}, and no segment_retired record says that it may."));
        }
        foreach (AuditAnchor anchor in trust.Anchors.Where(a => a.Point.Seq > end.Seq))
        {
            AddFinding(new AuditFinding(segment, lineNumber, "tail_cut",
                $"The log ends at record {end.Seq}; {anchor.Source} knows record {anchor.Point.Seq}."));
        }
        return new AuditVerifyResponse(
            findings.Count == 0, firstSeq, end.Seq, end.Head, checkpoints.Count, torn, findings);
    }

    /// <inheritdoc/>
    public void Dispose() => sha256.Dispose();

    private void Measure(ReadOnlySpan<byte> piece)
    {
        if (lineZeros == lineLength)
        {
            int zeros = piece.IndexOfAnyExcept((byte)0);
            lineZeros += zeros < 0 ? piece.Length : zeros;
        }
        lineLength += piece.Length;
    }

    private void Keep(ReadOnlySpan<byte> piece)
    {
        tooLong |= piece.Length > partial.Length - partialLength;
        if (tooLong)
            return;
        piece.CopyTo(partial.AsSpan(partialLength));
        partialLength += piece.Length;
    }

    private void Line(ReadOnlySpan<byte> bytes)
    {
        lineNumber++;
        if (!AuditLine.TryParse(bytes, out AuditLine line) || !line.IsCanonical())
        {
            NoticeHole();
            Damaged("malformed", "Not a record as the agent writes it.");
            return;
        }
        Digest32 hash = line.ComputeHash(sha256);
        if (hash != line.Hash)
        {
            // Its number may be what was altered: it counts as the one that was due.
            Damaged("altered", $"The bytes of this line do not have the hash it states.");
            return;
        }
        JudgePlace(line);
        if (afterDamage)
            heads.Set(line.Seq - 1, line.Prev);
        afterDamage = false;
        firstSeq = any ? firstSeq : line.Seq;
        any = true;
        end = new AuditPoint(line.Seq, hash);
        heads.Set(line.Seq, hash);
        JudgeAnchors();
        JudgeContent(line);
    }

    private void JudgePlace(AuditLine line)
    {
        bool begins = atSegmentBegin;
        atSegmentBegin = false;
        if (begins && AuditFormat.TryReadSegmentName(segment, out long named) && named != line.Seq)
            AddFinding("segment_name", $"The first record of {segment} is number {line.Seq}.");
        if (!any && !afterDamage)
            JudgeBeginning(line);
        else if (line.Seq <= end.Seq)
            AddFinding("out_of_order", $"Record {line.Seq} stands behind record {end.Seq}.");
        else if (afterDamage)
            return;
        else if (line.Seq > end.Seq + 1)
            AddFinding(begins ? "segment_missing" : "missing", $"Records {end.Seq + 1} to {line.Seq - 1} are missing.");
        else if (line.Prev != end.Head)
            AddFinding("chain_broken", $"Record {line.Seq} does not follow the record {end.Seq} that stands here.");
    }

    private void JudgeBeginning(AuditLine line)
    {
        if (trust.AnyBeginning)
            return;
        if (line.Seq > 1)
            retiredBefore = (new AuditPoint(line.Seq - 1, line.Prev), segment);
        else if (line.Prev != genesis)
            AddFinding("wrong_beginning", "Record 1 begins the log of another agent id or signing key.");
    }

    private void JudgeAnchors()
    {
        foreach (AuditAnchor anchor in trust.Anchors)
        {
            if (anchor.Point.Seq == end.Seq && anchor.Point.Head != end.Head)
                AddFinding("anchor_mismatch", $"{anchor.Source} knows another record {end.Seq}.");
        }
    }

    private void JudgeContent(AuditLine line)
    {
        if (line.Op.Length > 0 && ops.Count < OpsMax)
            ops.Add(Digest32.Sha256([.. line.Event, (byte)'|', .. line.Op, (byte)'|', .. line.Outcome]));
        if (checkpoints.Judge(line) is { } fault)
            AddFinding(fault.Code, fault.Detail);
        if (hole is { } torn
            && (line.Event.SequenceEqual("agent_started"u8) || checkpoints.LastSeq > torn.End.Seq))
        {
            hole = null;
        }
        if (retiredBefore is { } begin && line.Event.SequenceEqual("segment_retired"u8)
            && checkpoints.Explains(line, begin.Before))
        {
            retiredBefore = null;
        }
    }

    /// <summary>
    /// Zeros where a record should begin are blocks that never reached the disk: with everything behind them they are
    /// a torn tail, unless a start, a checkpoint or another file shows that the log went on from there. Anchors know
    /// better, as they do of any tail.
    /// </summary>
    private void NoticeHole()
    {
        if (hole is null && AuditFormat.IsHole(lineZeros, offset))
            hole = new TornAt(lineNumber, offset, any, firstSeq, end, findings.Count);
    }

    /// <summary>
    /// A torn tail is the beginning of a line. A whole record and something behind it is none: its newline was altered.
    /// Zeros are what some file systems leave of a write that a power cut stopped.
    /// </summary>
    /// <returns>Its bytes.</returns>
    private long JudgeTornTail()
    {
        if (hole is { } torn)
        {
            findings.RemoveRange(torn.Findings, findings.Count - torn.Findings);
            (lineNumber, any, firstSeq, end) = (torn.Line - 1, torn.Any, torn.FirstSeq, torn.End);
            return offset + lineLength - torn.Offset;
        }
        if (partialLength < 2 || partial[partialLength - 1] == 0)
            return lineLength;
        if (AuditLine.TryParse(partial.AsSpan(0, partialLength - 1), out AuditLine line)
            && line.ComputeHash(sha256) == line.Hash)
        {
            lineNumber++;
            AddFinding("malformed", "The newline of the last record was altered.");
        }
        return lineLength;
    }

    private void Damaged(string code, string detail)
    {
        AddFinding(code, detail);
        afterDamage = true;
        atSegmentBegin = false;
    }

    private void AddFinding(string code, string detail) =>
        AddFinding(new AuditFinding(segment, lineNumber, code, detail));

    private void AddFinding(AuditFinding finding)
    {
        if (findings.Count < FindingsMax)
            findings.Add(finding);
    }

    /// <summary>What stood before a hole.</summary>
    private sealed record TornAt(long Line, long Offset, bool Any, long FirstSeq, AuditPoint End, int Findings);
}
