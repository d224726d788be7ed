using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.UnitTests.Protocol.Vectors;

namespace LicenseAgent.UnitTests.Protocol.Audit;

/// <summary>A log in memory, line by line, and its verification.</summary>
internal sealed class LogText
{
    public const string AgentId = "pos-001";
    public static readonly FixedEcKey Key = FixedEcKey.Named("audit log");
    public static readonly string Thumbprint = Key.Public.Thumbprint().ToString();

    private readonly AuditChain _chain;
    private readonly byte[] _line = new byte[AuditFormat.MaxLineBytes];

    public LogText(string agentId = AgentId, string boot = "boot-a", AuditPoint? after = null)
        : this(after ?? new AuditPoint(0, AuditFormat.Genesis(agentId, Thumbprint)), boot)
    {
    }

    private LogText(AuditPoint end, string boot) => _chain = new AuditChain(end, boot);

    public long UpMs { get; set; } = 100_000;

    public UtcTime Time { get; set; } = new(1_800_000_000_000);

    /// <summary>With their newlines.</summary>
    public List<byte[]> Lines { get; } = [];

    public AuditPoint End => _chain.End;

    public byte[] Bytes => [.. Lines.SelectMany(l => l)];

    public LogText Add(string what = "mode_changed", string? op = null, AuditDetails? details = null)
    {
        int length = _chain.Write(_line, Time, UpMs, new AuditEntry(
            what, op, AuditActor.Agent, AuditOutcome.Ok, details ?? new AuditDetails { { "mode", "NORMAL" } }));
        Lines.Add(_line[..length]);
        return this;
    }

    public LogText AddMany(int count)
    {
        for (int i = 0; i < count; i++)
            Add();
        return this;
    }

    public LogText AddValidation(int nonce)
    {
        byte[] bytes = new byte[16];
        bytes[0] = (byte)nonce;
        var validation = new AuditedValidation(
            1000, 100, 42, Nonce16.From(bytes), TokenTag.Of("k"u8, "t"u8), "VALID", "lic-1", 7);
        Lines.Add(_line[.._chain.Write(_line, Time, UpMs, in validation)]);
        return this;
    }

    public LogText AddCheckpoint(
        AuditPoint? of = null, FixedEcKey? key = null, long generation = 5, long resetCount = 2,
        string agentId = AgentId)
    {
        AuditPoint point = of ?? End;
        var checkpoint = new AuditCheckpoint(agentId, point.Seq, point.Head, generation, resetCount, 1000, Time);
        byte[] input = checkpoint.ToSigningInput();
        byte[] jws = CompactJws.Assemble(input, (key ?? Key).Sign(input));
        string text = System.Text.Encoding.ASCII.GetString(jws);
        return Add(AuditCheckpoint.Event, null, new AuditDetails { { "jws", text } });
    }

    /// <summary>Start, validations, a checkpoint, a rotation, a stop.</summary>
    public static LogText Small()
    {
        LogText log = new LogText().Add("agent_started").AddValidation(1).AddValidation(2).AddCheckpoint();
        log.Add("secret_staged", "op-1").Add("generation_committed", "op-1").AddCheckpoint();
        return log.Add("agent_stopped");
    }

    public AuditVerifyResponse Verify(params AuditPoint[] anchors) => Verify(Bytes, anchors);

    public static AuditVerifyResponse Verify(byte[] bytes, params AuditPoint[] anchors) =>
        Verify([(AuditFormat.NewestSegment, bytes)], anchors);

    public static AuditVerifyResponse Verify(
        IEnumerable<(string Name, byte[] Bytes)> segments, AuditPoint[] anchors, int chunk = int.MaxValue) =>
        Verify(segments, anchors, chunk, out _);

    public static AuditVerifyResponse Verify(
        IEnumerable<(string Name, byte[] Bytes)> segments, AuditPoint[] anchors, int chunk, out long transitions)
    {
        var trust = new AuditTrust(
            AgentId, Key.Public, Es256.Verify, [.. anchors.Select(a => new AuditAnchor("receipt", a))]);
        using var verifier = new AuditVerifier(trust);
        foreach ((string name, byte[] bytes) in segments)
        {
            verifier.BeginSegment(name);
            for (int at = 0; at < bytes.Length; at += Math.Min(chunk, bytes.Length - at))
                verifier.Add(bytes.AsSpan(at, Math.Min(chunk, bytes.Length - at)));
        }
        AuditVerifyResponse result = verifier.Finish();
        transitions = verifier.Transitions;
        return result;
    }

    public static string[] Codes(AuditVerifyResponse result) =>
        [.. result.Findings.Select(f => $"{f.Line} {f.Code}")];
}
