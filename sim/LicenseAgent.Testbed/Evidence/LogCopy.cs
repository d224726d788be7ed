using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;

namespace LicenseAgent.Testbed.Evidence;

/// <summary>The files of a log, line by line.</summary>
public sealed class LogCopy
{
    /// <param name="folder">Is the copy's own: it is written over.</param>
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

    /// <summary>Writes the files back; those of a chain before stay as they are.</summary>
    public void Save()
    {
        foreach (string path in Directory.EnumerateFiles(Folder, "audit*.log"))
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

    private static long SeqOf(string line) => long.Parse(
        Between(line, "{\"seq\":", ","), CultureInfo.InvariantCulture);

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
