using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using LicenseAgent.Cli.Display;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.UnitTests.Pki;

namespace LicenseAgent.UnitTests.Cli;

/// <summary>
/// A log of ten records in two segments, with one signed checkpoint, and everything that was kept elsewhere: the keys
/// and the receipts. No agent runs.
/// </summary>
internal sealed class KeptLog : IDisposable
{
    public const string AgentId = "pos-001";

    private readonly ScratchDirectory directory = new();
    private readonly ECDsa signing = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly ECDsa server = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly SignedKeyset keyset;

    public KeptLog(bool withCheckpoint = true, bool chainBefore = false)
    {
        keyset = SignedKeyset.Create(
            new Keyset(
                1, SampleAnswers.Now, SampleAnswers.Now + SampleAnswers.Days(90),
                [KeysetKey.Of(EcPublicJwk.From(server), KeyScopes.Keyset, KeyScopes.Response)], []),
            new KeysetSigner(EcPublicJwk.From(server).Thumbprint().ToString(), data => Es256.Sign(server, data)));
        using var chain = new AuditChain(new AuditPoint(0, AuditFormat.Genesis(AgentId, Thumbprint)), "boot-1");
        using var closed = new MemoryStream();
        using var newest = new MemoryStream();
        for (int seq = 1; seq <= 10; seq++)
        {
            AuditEntry entry = seq == 1 && chainBefore ? WriteChainBefore()
                : seq == 5 && withCheckpoint ? Checkpoint(chain.End)
                : new AuditEntry("something_done", $"op-{seq}", AuditActor.Agent, AuditOutcome.Ok, AuditDetails.None);
            byte[] line = new byte[AuditFormat.MaxLineBytes];
            int length = chain.Write(line, SampleAnswers.Now, seq, entry);
            (seq <= 6 ? closed : newest).Write(line, 0, length);
            Points.Add(chain.End);
        }
        File.WriteAllBytes(this["audit-1.log"], closed.ToArray());
        File.WriteAllBytes(this["audit.log"], newest.ToArray());
        File.WriteAllText(this["agent.jwk"], Jwk(SigningKey));
        File.WriteAllText(this["agent.pem"], signing.ExportSubjectPublicKeyInfoPem());
        File.WriteAllText(this["agent.json"], AgentJson());
        File.WriteAllBytes(this["keysets.json"], KeysetChain.Write([keyset]));
    }

    public string Path => directory.Path;

    public string this[string name] => directory[name];

    public List<AuditPoint> Points { get; } = [];

    public EcPublicJwk SigningKey => EcPublicJwk.From(signing);

    public string Thumbprint => SigningKey.Thumbprint().ToString();

    public string ServerJwk => Jwk(EcPublicJwk.From(server));

    public Task<CliRun> VerifyAsync(params string[] args) =>
        new CliStart { Form = ScreenForm.File }.RunAsync(["audit", "verify", .. args]);

    public void Change(string file, Func<byte[], byte[]> change) =>
        File.WriteAllBytes(this[file], change(File.ReadAllBytes(this[file])));

    /// <summary>A signed check-in answer that witnesses a point.</summary>
    public string Receipt(AuditPoint witnessed, string agentId = AgentId, bool conflict = false)
    {
        var answer = new CheckInAnswer(
            agentId, "0199f1c0-0000-7000-8000-000000000001", default, "check-in", SampleAnswers.Now, [], 1,
            new Witness(witnessed.Seq, witnessed.Head, conflict), 900);
        return Encoding.ASCII.GetString(CompactJws.Create(
            new JwsHeader(EcPublicJwk.From(server).Thumbprint().ToString(), JoseTypes.ServerResponse),
            StrictJson.Write(answer, AnswerJsonContext.Wire.CheckInAnswer), data => Es256.Sign(server, data)));
    }

    /// <summary>The NV mirror that remembers a point.</summary>
    public byte[] Mirror(AuditPoint point)
    {
        byte[] bytes = new byte[64];
        System.Buffers.Binary.BinaryPrimitives.WriteInt64BigEndian(bytes.AsSpan(8), point.Seq);
        point.Head.CopyTo(bytes.AsSpan(16));
        SHA256.HashData(bytes.AsSpan(0, 48)).AsSpan(0, 16).CopyTo(bytes.AsSpan(48));
        return bytes;
    }

    public void Dispose()
    {
        signing.Dispose();
        server.Dispose();
        directory.Dispose();
    }

    /// <summary>Three records that belong to nobody, and the record that begins the chain behind them.</summary>
    private AuditEntry WriteChainBefore()
    {
        using var chain = new AuditChain(new AuditPoint(0, AuditFormat.Genesis("", "")), "boot-0");
        using var file = new MemoryStream();
        byte[] line = new byte[AuditFormat.MaxLineBytes];
        for (int seq = 1; seq <= 3; seq++)
        {
            var entry = new AuditEntry("something_done", null, AuditActor.Agent, AuditOutcome.Ok, AuditDetails.None);
            file.Write(line, 0, chain.Write(line, SampleAnswers.Now, seq, entry));
        }
        File.WriteAllBytes(this["chain-before.log"], file.ToArray());
        return new AuditEntry(
            "chain_started", null, AuditActor.Agent, AuditOutcome.Ok,
            new AuditDetails { { "closed", "chain-before.log" }, { "last_seq", 3 }, { "head", chain.End.Head } });
    }

    private AuditEntry Checkpoint(AuditPoint end)
    {
        var checkpoint = new AuditCheckpoint(AgentId, end.Seq, end.Head, 12, 3, 1000, SampleAnswers.Now);
        byte[] input = checkpoint.ToSigningInput();
        string jws = Encoding.ASCII.GetString(CompactJws.Assemble(input, Es256.Sign(signing, input)));
        return new AuditEntry(
            AuditCheckpoint.Event, "generation-12", AuditActor.Agent, AuditOutcome.Ok,
            new AuditDetails { { "jws", jws } });
    }

    private static string Jwk(EcPublicJwk key) =>
        $$"""{"crv":"P-256","kty":"EC","x":"{{key.X}}","y":"{{key.Y}}"}""";

    /// <summary>As the agent keeps it, secrets included.</summary>
    private string AgentJson() => JsonSerializer.Serialize(new
    {
        format = 1,
        phase = "enrolled",
        agent_id = AgentId,
        keyset_pin = new { version = 1, sha256 = keyset.PayloadSha256.ToString() },
        keys = new { signing = JsonSerializer.Deserialize<JsonElement>(Jwk(SigningKey)), srk_name = "000b01" },
        key_auth = "secret",
    });
}
