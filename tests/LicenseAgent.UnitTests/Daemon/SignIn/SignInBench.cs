using System.Buffers;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using LicenseAgent.Core;
using LicenseAgent.Daemon;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.LocalApi;
using LicenseAgent.Daemon.LocalApi.Operators;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.Replay;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Management;
using LicenseAgent.UnitTests.Daemon.LocalApi;

namespace LicenseAgent.UnitTests.Daemon.SignIn;

/// <summary>How a caller shows who it is.</summary>
public enum Shown
{
    /// <summary>A UID on the socket, nothing else.</summary>
    Uid,

    /// <summary>A session of a viewer's certificate.</summary>
    ViewerSession,

    /// <summary>A session of an admin's certificate.</summary>
    AdminSession,

    /// <summary>A session of an admin's certificate that another user began.</summary>
    StolenSession,

    /// <summary>A session that has ended.</summary>
    OldSession,

    /// <summary>An authorization header that is no session.</summary>
    Nonsense,

    /// <summary>HTTPS with a viewer's certificate.</summary>
    HttpsViewer,

    /// <summary>HTTPS with an admin's certificate.</summary>
    HttpsAdmin,

    /// <summary>HTTPS with a certificate that was revoked.</summary>
    HttpsRevoked,
}

/// <summary>The management surface of an agent, its authority of operators, and callers of every kind.</summary>
internal sealed class SignInBench : IDisposable
{
    public const uint AdminUid = 1000, ViewerUid = 1003, OtherAdminUid = 1001, NobodyUid = 1004;

    private readonly OperatorPki _pki = new();
    private readonly X509Certificate2 _revoked;
    private readonly LocalSurfaces _surfaces;

    public SignInBench(bool requireCertificate = false)
    {
        _revoked = _pki.Issue("admin");
        Admin = _pki.Issue("admin");
        Viewer = _pki.Issue("viewer");
        Management = new ManagementConfig(
            "", [AdminUid, OtherAdminUid], [ViewerUid], requireCertificate, _pki.CaPem,
            _pki.Crl(OperatorPki.Start.AddDays(20), _revoked));
        _surfaces = LocalSurfaces.Create(Config(Management), Sources());
    }

    public LocalBench Bench { get; } = new();

    public BenchJournal Journal { get; } = new();

    public OperatorPki Pki => _pki;

    public ManagementConfig Management { get; }

    public X509Certificate2 Admin { get; }

    public X509Certificate2 Viewer { get; }

    /// <summary>What was asked of the agent's loop.</summary>
    public List<string> Done { get; } = [];

    public void Use(ManagementConfig management) => _surfaces.Use(Config(management));

    /// <summary>A call of a kind of caller; the session it needs is begun before.</summary>
    public async Task<(int Status, string Body)> CallAsync(
        string method, string path, uint uid, Shown shown, string json = "")
    {
        string? session = shown switch
        {
            Shown.ViewerSession => await SessionAsync(uid, Viewer),
            Shown.AdminSession => await SessionAsync(uid, Admin),
            Shown.StolenSession => await SessionAsync(OtherAdminUid, Admin),
            Shown.OldSession => await SessionAsync(uid, Admin),
            Shown.Nonsense => "nonsense",
            _ => null,
        };
        if (shown == Shown.OldSession)
            Bench.Clock.BootMs += 300_000;
        X509Certificate2? certificate = shown switch
        {
            Shown.HttpsViewer => Viewer,
            Shown.HttpsAdmin => Admin,
            Shown.HttpsRevoked => _revoked,
            _ => null,
        };
        Journal.Calls.Clear();
        return await SendAsync(method, path, uid, json, session, certificate: certificate);
    }

    public async Task<string?> SessionAsync(uint uid, X509Certificate2 certificate, long connection = 1)
    {
        (int status, string body) = await SendAsync("POST", ManagementPaths.Challenge, uid, connection: connection);
        if (status != 200)
            return null;
        Digest32 challenge = Read(body, ManagementAnswerJsonContext.Wire.ChallengeOutcome).Challenge;
        (status, body) = await SignAsync(uid, challenge, certificate, connection);
        return status == 200 ? Read(body, ManagementAnswerJsonContext.Wire.SessionOutcome).Session.ToString() : null;
    }

    public Task<(int Status, string Body)> SignAsync(
        uint uid, Digest32 challenge, X509Certificate2 certificate, long connection = 1, uint? signedUid = null) =>
        SignTextAsync(
            uid, SignInText.Of(LocalBench.AgentId, signedUid ?? uid, challenge), certificate, connection);

    public Task<(int Status, string Body)> SignTextAsync(
        uint uid, byte[] text, X509Certificate2 certificate, long connection = 1)
    {
        using ECDsa? ec = certificate.GetECDsaPrivateKey();
        using RSA? rsa = certificate.GetRSAPrivateKey();
        byte[] signature = ec is not null
            ? ec.SignData(text, HashAlgorithmName.SHA256)
            : rsa!.SignData(text, HashAlgorithmName.SHA256, RSASignaturePadding.Pss);
        var call = new SessionCall(
            [Base64UrlText.Encode(certificate.RawDataMemory.Span)], Base64UrlText.Encode(signature));
        string json = Encoding.UTF8.GetString(
            StrictJson.Write(call, ManagementRequestJsonContext.Wire.SessionCall));
        return SendAsync("POST", ManagementPaths.Session, uid, json, connection: connection);
    }

    public async Task<Digest32> ChallengeAsync(uint uid, long connection = 1)
    {
        (_, string body) = await SendAsync("POST", ManagementPaths.Challenge, uid, connection: connection);
        return Read(body, ManagementAnswerJsonContext.Wire.ChallengeOutcome).Challenge;
    }

    public async Task<(int Status, string Body)> SendAsync(
        string method, string path, uint uid, string json = "", string? session = null, long connection = 1,
        X509Certificate2? certificate = null)
    {
        uint shownUid = certificate is null ? uid : PeerCredentials.None.Uid;
        var call = new LocalCall(
            new PeerCredentials(shownUid, shownUid, 1), method, path, "",
            json.Length > 0 ? "application/json" : null, Encoding.UTF8.GetBytes(json), Oversized: false, connection,
            session is null ? null : "Bearer " + session, certificate);
        var body = new ArrayBufferWriter<byte>();
        LocalAnswer answer = await _surfaces.Admin.Handler(call, body, default);
        return (answer.Status, body.Text());
    }

    public void Dispose()
    {
        _pki.Dispose();
        Bench.Dispose();
    }

    /// <summary>The calls there are, from the route table itself.</summary>
    public static IReadOnlyList<ManagementRoute> Routes()
    {
        using SignInBench bench = new();
        LocalContext context = bench.Bench.Context(bench.Journal.Journal);
        return new ManagementCalls(context, null!, null!).Routes;
    }

    private static T Read<T>(string body, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type) =>
        JsonSerializer.Deserialize(body, type)!;

    private static AgentConfig Config(ManagementConfig management) => new(
        null!, null!, null!,
        new PosConfig(
            "", [], [], 200, 400, 64, 256, TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(60), 16_384, 8_192),
        management,
        null!, new DegradedConfig(true), null!, new SecurityConfig(false));

    private LocalSources Sources() => new(
        Bench.Context(Journal.Journal),
        new AgentCommands(
            (_, _) => Do("enroll", new EnrollOutcome("pos-001", "thumb", 0)),
            _ => Do("rotate", new RotateOutcome("rotated", 7, null)),
            (version, _, _) => Do($"invalidate {version}", new InvalidateOutcome(version, "INVALIDATED")),
            (allowed, _) => Do($"degraded {allowed}", new DegradedOutcome(allowed)),
            (_, _) => Do("renew", new RenewedLicense("token"))),
        new OsBytes(), Es256.Verify, LocalBench.Tag, (_, _, _) => ReplayVerdict.Accepted, (_, _, _) => { }, () => { },
        () => "license_agent_mode 1\n",
        new AuditSources(
            (_, _) => new AuditPage([], null),
            _ => Task.FromResult(new AuditVerifyResponse(true, 1, 2, default, 0, 0, []))),
        () => Do("reload", new ReloadOutcome("reloaded", [], [])));

    private Task<CommandAnswer<T>> Do<T>(string what, T outcome)
        where T : class
    {
        Done.Add(what);
        return Task.FromResult(new CommandAnswer<T>(outcome, null));
    }
}
