using System.Security.Cryptography;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Daemon.Audit;

/// <summary>Which files a log is, by their names and first and last lines.</summary>
internal static class AuditSegments
{
    // A few lines may be damaged at either end; a file that has no record among so many is none that can be placed.
    private const int LinesLooked = 1_000;
    private const int CompareBytes = 1024 * 1024;

    /// <summary>
    /// The present chain, oldest first. A closed file whose number is that of the first record of <c>audit.log</c> is
    /// what an interrupted close left, a second name of it or an older copy: it is no part of the chain.
    /// </summary>
    public static List<AuditSegment> OfChain(IAuditFile file)
    {
        IReadOnlyList<AuditSegment> all = file.Segments();
        long? first = FirstSeq(file, all[^1]);
        return [.. all.Where(s => s.IsOfChain && !(s.ClosedFirstSeq is { } closed && closed == first))];
    }

    /// <summary>Files of chains before this one, and what interrupted closes left.</summary>
    public static IEnumerable<AuditSegment> SetAside(IAuditFile file) =>
        file.Segments().Where(s => !s.IsOfChain && s.Name.StartsWith("chain-", StringComparison.Ordinal));

    /// <summary>
    /// The files of a chain that is over, oldest first, found from the name of its last one: each follows the one whose
    /// last record its first line names.
    /// </summary>
    public static List<AuditSegment> SetAsideChain(IAuditFile file, string last)
    {
        List<AuditSegment> others = [.. SetAside(file)];
        var chain = new List<AuditSegment>();
        for (int at = others.FindIndex(s => s.Name == last); at >= 0;)
        {
            chain.Insert(0, others[at]);
            others.RemoveAt(at);
            AuditPoint? before = Before(file, chain[0]);
            at = others.FindIndex(s => before is not null && EndOf(file, s)?.Point == before);
        }
        return chain;
    }

    /// <summary>Name of a file of a chain that is no longer the present one.</summary>
    public static string SetAsideName(Digest32 end) => $"chain-{end.ToString()[..16]}.log";

    /// <summary>Name of what an interrupted close left and is no copy any more.</summary>
    public static string LeftoverName(long firstSeq) => $"chain-left-{firstSeq}.log";

    /// <summary>Number of a file's first record; <see langword="null"/> where it has none that can be read.</summary>
    public static long? FirstSeq(IAuditFile file, AuditSegment segment)
    {
        long? first = null;
        int at = 0;
        ForwardLines.Each(file.Read, segment, 0, (line, _) =>
        {
            if (AuditLine.TryParse(line, out AuditLine record))
                first = record.Seq - at;
            return first is null && ++at < LinesLooked;
        });
        return first;
    }

    /// <summary>The record a file follows, as its first line states it.</summary>
    public static AuditPoint? Before(IAuditFile file, AuditSegment segment)
    {
        AuditPoint? before = null;
        ForwardLines.Each(file.Read, segment, 0, (line, _) =>
        {
            if (AuditLine.TryParse(line, out AuditLine record))
                before = new AuditPoint(record.Seq - 1, record.Prev);
            return false;
        });
        return before;
    }

    /// <summary>The last record of a file, with the hash its bytes have, and when it was written.</summary>
    public static SegmentEnd? EndOf(IAuditFile file, AuditSegment segment)
    {
        using var sha256 = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var lines = new BackwardLines(file, [segment], AuditFormat.MaxLineBytes);
        for (int looked = 0; looked < LinesLooked && lines.MoveNext(); looked++)
        {
            if (AuditLine.TryParse(lines.Current, out AuditLine last))
            {
                string boot = System.Text.Encoding.UTF8.GetString(last.Boot);
                return new SegmentEnd(new AuditPoint(last.Seq, last.ComputeHash(sha256)), boot, last.UpMs);
            }
        }
        return null;
    }

    /// <summary>
    /// Whether any record of a file is as young. Not the last alone: who starts without state, the TPM being another
    /// one, knows no time but that of the build, and writes so until the server tells.
    /// </summary>
    public static bool HasRecordSince(IAuditFile file, AuditSegment segment, UtcTime since)
    {
        var lines = new BackwardLines(file, [segment], AuditFormat.MaxLineBytes);
        while (lines.MoveNext())
        {
            if (AuditLine.TryParse(lines.Current, out AuditLine line) && line.Time >= since)
                return true;
        }
        return false;
    }

    /// <summary>Whether a file holds exactly what <c>audit.log</c> holds.</summary>
    public static bool IsCopy(IAuditFile file, string name)
    {
        (byte[] ours, byte[] theirs) = (new byte[CompareBytes], new byte[CompareBytes]);
        for (long at = 0; ;)
        {
            int count = file.Read(AuditFormat.NewestSegment, at, ours);
            int same = file.Read(name, at, theirs);
            if (!ours.AsSpan(0, count).SequenceEqual(theirs.AsSpan(0, same)))
                return false;
            if (count == 0)
                return true;
            at += count;
        }
    }

    /// <summary>The JWS of the last checkpoint in some files.</summary>
    public static string? LastCheckpoint(IAuditFile file, params IEnumerable<AuditSegment> segments)
    {
        var lines = new BackwardLines(file, segments);
        while (lines.MoveNext())
        {
            if (AuditLine.TryParse(lines.Current, out AuditLine line) && AuditCheckpoint.JwsOf(line) is { } jws)
                return jws;
        }
        return null;
    }
}

/// <summary>The last record of a file.</summary>
internal sealed record SegmentEnd(AuditPoint Point, string Boot, long UpMs);
