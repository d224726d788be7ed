using System.Security.Cryptography;
using System.Text;
using LicenseAgent.IntegrationTests.EndToEnd;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using Xunit;

namespace LicenseAgent.IntegrationTests.Evidence;

/// <summary>
/// The log and state directory of a real agent that was enrolled, validated some hundreds of licenses over several
/// segments, rotated, was witnessed by its server and stopped. Tests change copies of it.
/// </summary>
public sealed class RealLog : IAsyncLifetime
{
    private const int Validations = 450;

    private readonly DirectoryInfo _kept = Directory.CreateTempSubdirectory("lsa-log-");

    public string State => Path.Combine(_kept.FullName, "state");

    /// <summary>The last record the server countersigned, by the run state.</summary>
    public long WitnessedSeq { get; private set; }

    public async ValueTask InitializeAsync()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        await using LiveTill till = await LiveTill.StartEnrolledAsync(
            cancel, TimeSpan.FromSeconds(2), shape: s => s with { AuditSegmentBytes = 64 * 1024, PosRate = 10_000 });
        string token = await LostAnswerTests.IssueAsync(till);
        for (int i = 0; i < Validations; i++)
            Assert.True((await till.ValidateAsync(token)).IsValid);
        await till.Operator.RotateAsync(cancel);
        TillBooks books = await till.AgreementAsync();
        long rotated = books.Run.Witnessed?.Seq ?? 0;
        await Eventually.HoldsAsync(
            () => till.Read().Run.Witnessed?.Seq > rotated + 2, "the server never witnessed the rotation", cancel);
        Assert.Equal(0, await till.StopAgentAsync());
        WitnessedSeq = till.Read().Run.Witnessed!.Seq;
        Copy(till.Folder.Logs, Path.Combine(_kept.FullName, "log"));
        Copy(till.Folder.State, State);
    }

    public ValueTask DisposeAsync()
    {
        _kept.Delete(recursive: true);
        return ValueTask.CompletedTask;
    }

    /// <summary>A copy of the log to change.</summary>
    internal LogCopy CopyLog()
    {
        string folder = Path.Combine(_kept.FullName, Path.GetRandomFileName());
        Copy(Path.Combine(_kept.FullName, "log"), folder);
        return new LogCopy(folder);
    }

    private static void Copy(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (string path in Directory.EnumerateFiles(from))
            File.Copy(path, Path.Combine(to, Path.GetFileName(path)));
    }
}

/// <summary>The files of a log, line by line.</summary>
internal sealed class LogCopy
{
    public LogCopy(string folder)
    {
        Folder = folder;
        foreach (string path in Directory.EnumerateFiles(folder))
        {
            string name = Path.GetFileName(path);
            if (name == AuditFormat.NewestSegment || AuditFormat.TryReadSegmentName(name, out _))
                Files.Add((name, [.. File.ReadAllText(path).TrimEnd('\n').Split('\n')]));
        }
        Files.Sort((a, b) => Number(a.Name).CompareTo(Number(b.Name)));
    }

    public string Folder { get; }

    /// <summary>Oldest first.</summary>
    public List<(string Name, List<string> Lines)> Files { get; } = [];

    /// <summary>The first line that holds a text: file and line, from 0.</summary>
    public (int File, int Line) Find(string text, bool last = false)
    {
        var all = Files.SelectMany((f, i) => f.Lines.Select((l, j) => (File: i, Line: j, Text: l)))
            .Where(l => l.Text.Contains(text, StringComparison.Ordinal)).ToList();
        var found = last ? all[^1] : all[0];
        return (found.File, found.Line);
    }

    public void Save()
    {
        foreach (string path in Directory.EnumerateFiles(Folder).Where(p => !Path.GetFileName(p).StartsWith("chain-", StringComparison.Ordinal)))
            File.Delete(path);
        foreach ((string name, List<string> lines) in Files)
            File.WriteAllText(Path.Combine(Folder, name), string.Concat(lines.Select(l => l + "\n")));
    }

    /// <summary>As an attacker with an editor does it: numbers and hashes anew from a line on.</summary>
    public void HashAnewFrom(int file, int line)
    {
        (long seq, string hash)? before = null;
        for (int f = 0; f < Files.Count; f++)
        {
            for (int l = 0; l < Files[f].Lines.Count; l++)
            {
                string text = Files[f].Lines[l];
                if (before is { } known && (f > file || (f == file && l >= line)))
                    Files[f].Lines[l] = text = Rehashed(text, known.seq + 1, known.hash);
                before = (SeqOf(text), Between(text, "\"hash\":\"", "\""));
            }
        }
    }

    public static long SeqOf(string line) => long.Parse(
        Between(line, "{\"seq\":", ","), System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>The same checkpoint, signed by somebody else.</summary>
    public static string Resigned(string line)
    {
        using ECDsa attacker = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        string jws = Between(line, "\"jws\":\"", "\"");
        string input = jws[..jws.LastIndexOf('.')];
        byte[] forged = CompactJws.Assemble(
            Encoding.ASCII.GetBytes(input), Es256.Sign(attacker, Encoding.ASCII.GetBytes(input)));
        return line.Replace(jws, Encoding.ASCII.GetString(forged), StringComparison.Ordinal);
    }

    private static string Rehashed(string line, long seq, string prev)
    {
        string renumbered = $"{{\"seq\":{seq}{line[line.IndexOf(',', StringComparison.Ordinal)..]}";
        string body = renumbered[..renumbered.LastIndexOf(",\"prev\":", StringComparison.Ordinal)];
        string hashed = $"{body},\"prev\":\"{prev}\"";
        Base64UrlText.TryDecode(prev, out byte[] raw);
        byte[] hash = SHA256.HashData([.. raw, .. Encoding.UTF8.GetBytes(hashed)]);
        return $"{hashed},\"hash\":\"{Base64UrlText.Encode(hash)}\"}}";
    }

    private static string Between(string text, string before, string after)
    {
        int at = text.LastIndexOf(before, StringComparison.Ordinal) + before.Length;
        return text[at..text.IndexOf(after, at, StringComparison.Ordinal)];
    }

    private static long Number(string name) => AuditFormat.TryReadSegmentName(name, out long first) ? first : long.MaxValue;
}
