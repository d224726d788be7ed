using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Cli.Offline;

/// <summary>
/// Kept receipts: signed check-in answers, one a line, in which the license server says how far it has seen the log.
/// One that does not verify is a finding of its own.
/// </summary>
internal sealed class Receipts
{
    private const int FileBytesMax = 64 * 1024 * 1024;

    // An answer of the license server is at most this.
    private const int ReceiptBytesMax = 1024 * 1024;

    // Each stands for everything before it, so the newest would do; the others find a server that contradicts itself.
    private const int AnchorsMax = 1000;

    private readonly List<AuditAnchor> anchors = [];
    private readonly List<AuditFinding> findings = [];

    public IReadOnlyList<AuditAnchor> Anchors =>
        [.. anchors.OrderByDescending(anchor => anchor.Point.Seq).Take(AnchorsMax)];

    public IReadOnlyList<AuditFinding> Findings => findings;

    public static Receipts Read(string path, string agentId, IReadOnlyDictionary<string, EcPublicJwk> serverKeys)
    {
        var receipts = new Receipts();
        ReadOnlySpan<byte> rest = InputFile.Read(path, FileBytesMax);
        string name = Path.GetFileName(path);
        for (long line = 1; !rest.IsEmpty; line++)
        {
            int end = rest.IndexOf((byte)'\n');
            ReadOnlySpan<byte> jws = (end < 0 ? rest : rest[..end]).TrimEnd("\r"u8);
            rest = end < 0 ? default : rest[(end + 1)..];
            if (!jws.IsEmpty)
                receipts.Take(jws, new Place(name, line), agentId, serverKeys);
        }
        return receipts.anchors.Count + receipts.findings.Count > 0
            ? receipts
            : throw new UsageException($"There is no receipt in {path}.");
    }

    private void Take(
        ReadOnlySpan<byte> jws, Place place, string agentId, IReadOnlyDictionary<string, EcPublicJwk> serverKeys)
    {
        if (!CompactJws.TryParse(jws, JoseTypes.ServerResponse, ReceiptBytesMax, out ParsedJws? parsed))
            findings.Add(place.Finding("receipt_malformed", "Not an answer of a license server."));
        else if (!serverKeys.TryGetValue(parsed.Kid, out EcPublicJwk? key) || !parsed.IsSignedBy(key, Es256.Verify))
            findings.Add(place.Finding("receipt_signature", "Not signed by the license server's key."));
        else
            TakeSigned(parsed, place, agentId);
    }

    private void TakeSigned(ParsedJws parsed, Place place, string agentId)
    {
        CheckInAnswer answer;
        try
        {
            answer = StrictJson.Read(parsed.Payload, AnswerJsonContext.Wire.CheckInAnswer);
        }
        catch (ProtocolException e)
        {
            findings.Add(place.Finding("receipt_malformed", $"Not the answer to a check-in ({e.Message})."));
            return;
        }
        if (answer.AgentId != agentId)
            findings.Add(place.Finding("receipt_agent", "Of another agent."));
        if (answer.Witness.Conflict)
        {
            findings.Add(place.Finding(
                "witness_conflict", "The license server saw this log go back or change below what it had seen."));
        }
        if (answer.Witness.Seq > 0 && answer.AgentId == agentId)
        {
            anchors.Add(new AuditAnchor(
                $"the receipt of {answer.ServerTime}", new AuditPoint(answer.Witness.Seq, answer.Witness.Head)));
        }
    }

    private readonly record struct Place(string File, long Line)
    {
        public AuditFinding Finding(string code, string detail) => new(File, Line, code, detail);
    }
}
