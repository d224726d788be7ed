using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Cli.Offline;

/// <summary>
/// The chain that ended when this one began: at enrolment, and when a till is enrolled anew. The first record of a
/// chain names the last record of the one before by its hash, which proves all of it; so its files are verified against
/// that and nothing else, and the one before it in turn.
/// </summary>
internal sealed class ChainBefore(string directory, CancellationToken cancel)
{
    // One an enrolment. A longer row than this is no till's.
    private const int ChainsMax = 100;

    private readonly List<AuditFinding> findings = [];

    /// <summary>Findings in all chains before the one these files are of.</summary>
    public List<AuditFinding> Verify(AuditFiles files)
    {
        HashSet<string> retired = Retired(files);
        for (int chains = 0; chains < ChainsMax && Began(files.Paths) is { } began; chains++)
        {
            if (retired.Contains(began.Closed))
                break;
            List<string> parts = Parts(began.Closed);
            if (parts.Count == 0)
            {
                findings.Add(new AuditFinding(began.Closed, 0, "segment_missing",
                    $"The chain before, to record {began.LastSeq}, is not in {directory}."));
                break;
            }

            files = AuditFiles.OfFiles(parts);
            retired.UnionWith(Retired(files));
            using var verifier = new AuditVerifier(new AuditTrust(
                "", null, Es256.Verify,
                [new AuditAnchor("the chain after it", new AuditPoint(began.LastSeq, began.Head))],
                AnyBeginning: true));
            files.Feed(verifier, cancel);
            findings.AddRange(verifier.Finish().Findings);
        }

        return findings;
    }

    /// <summary>Oldest first: each file follows the one whose last record its first line names.</summary>
    private List<string> Parts(string last)
    {
        List<string> others = [.. Directory.EnumerateFiles(directory, "chain-*.log")];
        var parts = new List<string>();
        for (int at = others.FindIndex(p => Path.GetFileName(p) == last); at >= 0;)
        {
            parts.Insert(0, others[at]);
            others.RemoveAt(at);
            Digest32? prev = PrevOfFirst(parts[0]);
            at = others.FindIndex(p => prev is not null && HashOfLast(p) == prev);
        }

        return parts;
    }

    private static ChainStarted? Began(IReadOnlyList<string> paths)
    {
        if (paths.Count == 0 || FirstLine(paths[0]) is not { } text)
            return null;
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        if (!AuditLine.TryParse(bytes, out AuditLine line) || line.Seq != 1
            || !line.Event.SequenceEqual("chain_started"u8))
        {
            return null;
        }

        using JsonDocument details = JsonDocument.Parse(line.Details.ToArray());
        JsonElement root = details.RootElement;
        return root.TryGetProperty("closed", out JsonElement closed) && closed.GetString() is { } name
            && root.TryGetProperty("last_seq", out JsonElement seq) && seq.TryGetInt64(out long number)
            && root.TryGetProperty("head", out JsonElement head)
            && Digest32.TryParse(Encoding.ASCII.GetBytes(head.GetString() ?? ""), out Digest32 digest)
                ? new ChainStarted(Path.GetFileName(name), number, digest)
                : null;
    }

    private static HashSet<string> Retired(AuditFiles files)
    {
        const string Mark = "\"event\":\"chain_retired\",\"op\":\"";
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (string path in files.Paths)
        {
            using var reader = new StreamReader(InputFile.Open(path));
            while (AuditFiles.ReadLine(reader) is { } line)
            {
                int at = line.IndexOf(Mark, StringComparison.Ordinal);
                if (at >= 0)
                    names.Add(line[(at + Mark.Length)..].Split('"')[0]);
            }
        }

        return names;
    }

    private static Digest32? PrevOfFirst(string path) =>
        FirstLine(path) is { } text && AuditLine.TryParse(Encoding.UTF8.GetBytes(text), out AuditLine line)
            ? line.Prev
            : null;

    private static Digest32? HashOfLast(string path)
    {
        using FileStream file = InputFile.Open(path);
        file.Seek(-Math.Min(file.Length, 2 * AuditFormat.MaxLineBytes), SeekOrigin.End);
        byte[] bytes = new byte[2 * AuditFormat.MaxLineBytes];
        ReadOnlySpan<byte> text = bytes.AsSpan(0, file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false));
        text = text[..Math.Max(0, text.LastIndexOf((byte)'\n'))];
        using var sha256 = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        return AuditLine.TryParse(text[(text.LastIndexOf((byte)'\n') + 1)..], out AuditLine line)
            ? line.ComputeHash(sha256)
            : null;
    }

    private static string? FirstLine(string path)
    {
        using var reader = new StreamReader(InputFile.Open(path));
        return AuditFiles.ReadLine(reader);
    }

    private sealed record ChainStarted(string Closed, long LastSeq, Digest32 Head);
}
