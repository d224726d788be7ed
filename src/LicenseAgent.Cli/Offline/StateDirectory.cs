using System.Text.Json;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Cli.Offline;

/// <summary>What a copy of the agent's state directory says of its log.</summary>
internal static class StateDirectory
{
    private const int RunFileBytesMax = 1024 * 1024;

    /// <summary>
    /// The last record the server countersigned, as <c>run.json</c> remembers it: unsigned, so it can only add a
    /// finding.
    /// </summary>
    public static AuditAnchor? Witnessed(string path)
    {
        if (!File.Exists(path))
            return null;
        try
        {
            using JsonDocument file = JsonDocument.Parse(InputFile.Read(path, RunFileBytesMax));
            return file.RootElement.TryGetProperty("run", out JsonElement run)
                && run.TryGetProperty("witnessed", out JsonElement witnessed)
                && witnessed.ValueKind == JsonValueKind.Object
                && witnessed.GetProperty("seq").TryGetInt64(out long seq)
                && Digest32.TryParse(
                    System.Text.Encoding.ASCII.GetBytes(witnessed.GetProperty("head").GetString() ?? ""),
                    out Digest32 head)
                    ? new AuditAnchor("the run state", new AuditPoint(seq, head))
                    : null;
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new UsageException($"{path} is not the agent's run state ({e.Message}).");
        }
    }
}
