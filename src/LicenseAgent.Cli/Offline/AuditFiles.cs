using System.Text.Json;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Jose;

namespace LicenseAgent.Cli.Offline;

/// <summary>The segments of one log, oldest first.</summary>
internal sealed class AuditFiles
{
    private const int ChunkBytes = 64 * 1024;

    private readonly IReadOnlyList<string> paths;

    private AuditFiles(IReadOnlyList<string> paths) => this.paths = paths;

    /// <summary>Oldest first.</summary>
    public IReadOnlyList<string> Paths => paths;

    /// <summary>A directory of the agent's: closed segments by their numbers, then the newest.</summary>
    public static AuditFiles OfDirectory(string directory)
    {
        if (!Directory.Exists(directory))
            throw new UsageException($"There is no directory {directory}.");
        var closed = new SortedDictionary<long, string>();
        foreach (string path in Directory.EnumerateFiles(directory, "audit-*.log"))
        {
            if (AuditFormat.TryReadSegmentName(Path.GetFileName(path), out long firstSeq))
                closed.Add(firstSeq, path);
        }
        string newest = Path.Combine(directory, AuditFormat.NewestSegment);
        if (!File.Exists(newest))
        {
            return closed.Count > 0
                ? new AuditFiles([.. closed.Values])
                : throw new UsageException($"There is no {AuditFormat.NewestSegment} in {directory}.");
        }

        // A power cut while a file was closed leaves it under both names, or an empty newest one.
        IEnumerable<string> parts = closed.Values.Where(path => !IsCopy(path, newest));
        bool isEmpty = new FileInfo(newest).Length == 0 && closed.Count > 0;
        return new AuditFiles(isEmpty ? [.. parts] : [.. parts, newest]);
    }

    public static AuditFiles OfFile(string path) => new([path]);

    public static AuditFiles OfFiles(IReadOnlyList<string> paths) => new(paths);

    private static bool IsCopy(string path, string newest)
    {
        using FileStream one = InputFile.Open(path);
        using FileStream other = InputFile.Open(newest);
        if (one.Length != other.Length)
            return false;
        byte[] ours = new byte[ChunkBytes];
        byte[] theirs = new byte[ChunkBytes];
        for (int count; (count = one.ReadAtLeast(ours, ChunkBytes, throwOnEndOfStream: false)) > 0;)
        {
            int same = other.ReadAtLeast(theirs, ChunkBytes, throwOnEndOfStream: false);
            if (!ours.AsSpan(0, count).SequenceEqual(theirs.AsSpan(0, same)))
                return false;
        }

        return true;
    }

    public void Feed(AuditVerifier verifier, CancellationToken cancel)
    {
        byte[] chunk = new byte[ChunkBytes];
        foreach (string path in paths)
        {
            using FileStream file = InputFile.Open(path);
            verifier.BeginSegment(Path.GetFileName(path));
            for (int count; (count = file.Read(chunk)) > 0;)
            {
                cancel.ThrowIfCancellationRequested();
                verifier.Add(chunk.AsSpan(0, count));
            }
        }
    }

    /// <summary>
    /// The agent that the first checkpoint signed by this key is of; <see langword="null"/> where there is none. The
    /// signature covers the name, so the log can be believed about it.
    /// </summary>
    public string? AgentIdSignedBy(EcPublicJwk key)
    {
        foreach (string path in paths)
        {
            using FileStream file = InputFile.Open(path);
            using var reader = new StreamReader(file);
            while (ReadLine(reader) is { } line)
            {
                bool isCandidate = line.Contains(AuditCheckpoint.Event, StringComparison.Ordinal);
                if (isCandidate && Checkpoint(line, key) is { } found)
                    return found.AgentId;
            }
        }
        return null;
    }

    // A line beyond the format's limit is no checkpoint; what follows is read as a line of its own.
    public static string? ReadLine(StreamReader reader)
    {
        var line = new System.Text.StringBuilder();
        int c;
        while ((c = reader.Read()) >= 0 && c != '\n' && line.Length < AuditFormat.MaxLineBytes)
            line.Append((char)c);
        return c < 0 && line.Length == 0 ? null : line.ToString();
    }

    private static AuditCheckpoint? Checkpoint(string line, EcPublicJwk key)
    {
        try
        {
            using JsonDocument record = JsonDocument.Parse(line);
            string? jws = record.RootElement.GetProperty("details").GetProperty("jws").GetString();
            return AuditCheckpoint.Open(System.Text.Encoding.UTF8.GetBytes(jws ?? ""), key, Es256.Verify);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException
            or ProtocolException)
        {
            // No checkpoint; whether that is a fault of the log, its verification says.
            return null;
        }
    }
}
