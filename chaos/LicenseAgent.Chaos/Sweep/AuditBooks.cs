using System.Text.Json;
using LicenseAgent.Cli.Offline;
using LicenseAgent.Daemon.State;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Testbed.Processes;

namespace LicenseAgent.Chaos.Sweep;

/// <summary>A transition as the log tells of it; equal ones are one thing, written again after a crash.</summary>
internal sealed record AuditedTransition(string Event, string Op, string Outcome);

/// <summary>The audit log of a till as it lies on disk, verified by its bytes and without the agent.</summary>
/// <param name="End">Where the chain ends; the anchor of a later look.</param>
/// <param name="Validations">Numbers of the records of answered validations.</param>
/// <param name="Gaps">Gaps that are told of: the number of the record, and how many records it stands for.</param>
internal sealed record AuditBooks(
    IReadOnlyList<AuditFinding> Findings, AuditPoint End, string AgentId,
    IReadOnlyList<AuditedTransition> Transitions, IReadOnlyList<long> Validations,
    IReadOnlyList<(long Seq, long Records)> Gaps)
{
    /// <param name="earlier">A look before; what it saw must still stand where it stood.</param>
    public static AuditBooks Read(TillFolder till, AuditBooks? earlier = null)
    {
        string agentFile = Path.Combine(till.State, AgentFile.Name);
        AgentFile? agent = File.Exists(agentFile)
            ? StateJson.Read(
                File.ReadAllBytes(agentFile), StateJson.Strict.AgentFile, AgentFile.Name, AgentFile.CurrentFormat)
            : null;
        AuditBooks own = Verify(till, agent?.AgentId ?? "", agent?.Keys?.Signing, earlier);
        if (own.Findings.Count == 0)
            return own;

        // Until the enrolment is answered the log is the one that names nobody; when it has been, the agent is named
        // first, and its log begins after that, at the next start if need be.
        AuditBooks nobodys = Verify(till, "", null, earlier);
        bool mayBe = agent?.Phase != EnrollmentPhase.Enrolled || (earlier is null && nobodys.Findings.Count == 0);
        return mayBe ? nobodys : own;
    }

    private static AuditBooks Verify(TillFolder till, string agentId, EcPublicJwk? key, AuditBooks? earlier)
    {
        AuditAnchor[] anchors = earlier is { End.Seq: > 0 } && earlier.AgentId == agentId
            ? [new AuditAnchor("the log after the crash", earlier.End)]
            : [];
        using AuditVerifier verifier = new(new AuditTrust(agentId, key, Es256.Verify, anchors));
        HashSet<AuditedTransition> transitions = [];
        List<long> validations = [];
        List<(long Seq, long Records)> gaps = [];
        IReadOnlyList<string> paths = File.Exists(till.AuditLog) ? AuditFiles.OfDirectory(till.Logs).Paths : [];
        foreach (string path in paths)
        {
            byte[] bytes = File.ReadAllBytes(path);
            verifier.BeginSegment(Path.GetFileName(path));
            verifier.Add(bytes);
            Collect(bytes, transitions, validations, gaps);
        }

        AuditVerifyResponse result = verifier.Finish();
        return new AuditBooks(
            result.Findings, new AuditPoint(result.LastSeq, result.Head), agentId, [.. transitions], validations,
            gaps);
    }

    // Lines that are no records have been found by the verifier.
    private static void Collect(
        byte[] bytes, HashSet<AuditedTransition> transitions, List<long> validations,
        List<(long Seq, long Records)> gaps)
    {
        foreach (string line in System.Text.Encoding.UTF8.GetString(bytes).Split('\n'))
        {
            if (!line.StartsWith('{') || !line.EndsWith('}'))
                continue;
            using JsonDocument record = JsonDocument.Parse(line);
            JsonElement root = record.RootElement;
            if (Text(root, "op") is { Length: > 0 } op)
                transitions.Add(new AuditedTransition(Text(root, "event") ?? "", op, Text(root, "outcome") ?? ""));
            else if (Text(root, "event") == "license_validated")
                validations.Add(root.GetProperty("seq").GetInt64());
            else if (Text(root, "event") == "audit_gap")
                gaps.Add((root.GetProperty("seq").GetInt64(), GapOf(root)));
        }
    }

    private static long GapOf(JsonElement record) =>
        record.GetProperty("details").GetProperty("records").GetInt64();

    private static string? Text(JsonElement record, string member) =>
        record.TryGetProperty(member, out JsonElement value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()
            : null;
}
