using System.CommandLine;
using LicenseAgent.Cli.Display;
using LicenseAgent.Cli.Offline;
using LicenseAgent.Client;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Management;
using Spectre.Console;

namespace LicenseAgent.Cli.Commands;

/// <summary><c>audit verify</c>: by the agent, or on files and without one.</summary>
internal sealed class AuditVerify
{
    private const int FindingsShown = 20;

    private const string Description =
        """
        Verify the log; exit code 1 on findings. Without options the agent verifies its own.

        With --log or --file no agent is needed, but its signing key: a key that was kept elsewhere proves more than
        one from the same disk, and --thumbprint holds either to what `enroll` and `license-server agents show` print.
        """;

    private readonly Option<string?> log = File("--log", "DIR", "A directory with audit.log and closed segments");
    private readonly Option<string?> file = File("--file", "PATH", "One file of a log");
    private readonly Option<string?> key = File(
        "--key", "FILE", "The signing key as JWK or PEM, or the agent's agent.json");
    private readonly Option<string?> thumbprint = File("--thumbprint", "TEXT", "The key must have this thumbprint");
    private readonly Option<string?> agentId = File(
        "--agent-id", "ID", "Whose log, if neither key nor checkpoint says");
    private readonly Option<string?> receipts = File("--receipts", "FILE", "Kept receipts of the license server");
    private readonly Option<string?> state = File(
        "--state", "DIR", "A copy of the agent's state directory: key, receipts and run state of one till");
    private readonly Option<string?> mirror = File(
        "--mirror", "FILE", "The 64 bytes of NV index 0x01818A04, as tpm2_nvread puts them out");
    private readonly Option<string?> serverKey = File(
        "--server-key", "FILE", "Who signs receipts: JWK, PEM or keysets.json (default: the one beside the receipts)");

    public static Command Create(AgentCalls calls)
    {
        var verify = new AuditVerify();
        var command = new Command("verify", Description)
        {
            verify.log, verify.file, verify.key, verify.thumbprint, verify.agentId, verify.receipts, verify.serverKey,
            verify.state, verify.mirror,
        };
        command.SetAction(async (parsed, cancel) =>
        {
            ManagementAnswer<AuditVerifyResponse> result = verify.IsOffline(parsed)
                ? Answer(verify.Offline(parsed, cancel))
                : await AskAsync(calls, parsed, cancel);
            if (calls.IsJson(parsed))
                calls.Context.Screen.Answer(result.Utf8);
            else
                Show(calls.Context.Screen, result.Value);
            return result.Value.Ok ? ExitCodes.Ok : ExitCodes.No;
        });
        return command;
    }

    private static Option<string?> File(string name, string helpName, string description) =>
        new(name) { Description = description, HelpName = helpName };

    private static async Task<ManagementAnswer<AuditVerifyResponse>> AskAsync(
        AgentCalls calls, ParseResult parsed, CancellationToken cancel)
    {
        using ManagementClient client = calls.Connect(parsed);
        return await client.VerifyAuditAsync(cancel);
    }

    private static ManagementAnswer<AuditVerifyResponse> Answer(AuditVerifyResponse result) =>
        new(result, StrictJson.Write(result, ManagementAnswerJsonContext.Wire.AuditVerifyResponse));

    private bool IsOffline(ParseResult parsed)
    {
        bool hasFiles = parsed.GetValue(log) is not null || parsed.GetValue(file) is not null;
        Option<string?>[] about = [key, thumbprint, agentId, receipts, serverKey, state, mirror];
        bool hasKeys = about.Any(o => parsed.GetValue(o) is not null);
        return hasFiles || !hasKeys
            ? hasFiles
            : throw new UsageException("Say which log, with --log DIR or --file PATH.");
    }

    private AuditVerifyResponse Offline(ParseResult parsed, CancellationToken cancel)
    {
        AuditFiles files = (parsed.GetValue(log), parsed.GetValue(file)) switch
        {
            ({ } directory, null) => AuditFiles.OfDirectory(directory),
            (null, { } path) => AuditFiles.OfFile(path),
            _ => throw new UsageException("Give either --log or --file."),
        };
        AgentKey known = AgentKeyOf(parsed);
        string id = parsed.GetValue(agentId) ?? known.AgentId ?? files.AgentIdSignedBy(known.SigningKey)
            ?? throw new UsageException("No checkpoint in this log is signed by that key, so give --agent-id.");
        Receipts? kept = ReceiptsOf(parsed, id, known);
        using var verifier = new AuditVerifier(TrustOf(parsed, id, known, kept));
        files.Feed(verifier, cancel);
        AuditVerifyResponse result = verifier.Finish();
        IReadOnlyList<AuditFinding> before = parsed.GetValue(log) is { } whole
            ? new ChainBefore(whole, cancel).Verify(files)
            : [];
        IReadOnlyList<AuditFinding> all = [.. result.Findings, .. kept?.Findings ?? [], .. before];
        return result with { Ok = all.Count == 0, Findings = all };
    }

    private AuditTrust TrustOf(ParseResult parsed, string id, AgentKey known, Receipts? kept)
    {
        // One file of a chain that is over has an end nobody here knows of; with --log its anchor is read too.
        if (parsed.GetValue(file) is { } path
            && Path.GetFileName(path).StartsWith("chain-", StringComparison.Ordinal))
        {
            return new AuditTrust("", null, Es256.Verify, [], AnyBeginning: true);
        }

        var anchors = new List<AuditAnchor>(kept?.Anchors ?? []);
        if (parsed.GetValue(mirror) is { } nv && NvMirrorFile.Read(nv) is { } remembered)
            anchors.Add(remembered);
        if (parsed.GetValue(state) is { } directory
            && StateDirectory.Witnessed(Path.Combine(directory, "run.json")) is { } witnessed)
        {
            anchors.Add(witnessed);
        }

        return new AuditTrust(id, known.SigningKey, Es256.Verify, anchors);
    }

    private AgentKey AgentKeyOf(ParseResult parsed)
    {
        string path = parsed.GetValue(key) ?? OfState(parsed, "agent.json") ?? throw new UsageException(
            "Verifying files needs the agent's signing key: --key FILE (see license-agent-cli audit verify --help).");
        AgentKey known = KeyFile.ReadAgentKey(path);
        string actual = known.SigningKey.Thumbprint().ToString();
        return parsed.GetValue(thumbprint) is { } wanted && wanted != actual
            ? throw new UsageException($"The key in {path} has the thumbprint {actual}: it is not the one wanted.")
            : known;
    }

    private Receipts? ReceiptsOf(ParseResult parsed, string id, AgentKey known)
    {
        if ((parsed.GetValue(receipts) ?? OfState(parsed, "receipts.jws")) is not { } path)
            return null;
        string beside = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, "keysets.json");
        string keys = parsed.GetValue(serverKey) ?? (System.IO.File.Exists(beside) ? beside : null)
            ?? throw new UsageException("Receipts prove something by the license server's key: --server-key FILE.");
        return Receipts.Read(path, id, KeyFile.ReadServerKeys(keys, known.KeysetPin));
    }

    private string? OfState(ParseResult parsed, string name) =>
        parsed.GetValue(state) is { } directory && System.IO.File.Exists(Path.Combine(directory, name))
            ? Path.Combine(directory, name)
            : null;

    /// <summary>A finding a line, as compilers write them: <c>file:line: code: detail</c>.</summary>
    private static void Show(Screen screen, AuditVerifyResponse result)
    {
        foreach (AuditFinding finding in result.Findings.Take(FindingsShown))
        {
            string place = finding.Line > 0 ? $"{finding.File}:{finding.Line}" : finding.File;
            screen.Line($"{place}: {finding.Code}: {finding.Detail}");
        }
        if (result.Findings.Count > FindingsShown)
            screen.Line($"and {result.Findings.Count - FindingsShown} more; --json lists them.");
        string records = $"records {result.FirstSeq} to {result.LastSeq}, {result.Checkpoints} checkpoints";
        string findings = result.Findings.Count == 1 ? "1 finding" : $"{result.Findings.Count} findings";
        screen.Write(result.Ok
            ? Blocks.Text($"ok: {records}", Color.Green)
            : Blocks.Text($"not ok: {findings} in {records}", Color.Red));
        screen.Line($"head {result.Head.ToHex()}");
        if (result.Torn > 0)
            screen.Line($"The last line is torn ({result.Torn} bytes): a power cut does that, and it is no finding.");
    }
}
