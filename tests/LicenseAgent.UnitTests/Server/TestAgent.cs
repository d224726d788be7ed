using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Protocol.Tokens;
using LicensePki;
using LicenseServer.Agents;
using Xunit;

namespace LicenseAgent.UnitTests.Server;

/// <summary>
/// The agent's half of the protocol with software keys: real requests, real signatures, real unwrapping. It holds
/// secrets by version and obeys the agent's rule for what it stages, and nothing else.
/// </summary>
internal sealed class TestAgent
{
    // Making an RSA key takes longer than most tests; whose key it is matters to none.
    private static readonly RSA Decryption = RSA.Create(2048);
    private static int count;

    private readonly ServerHarness _server;
    private readonly ECDsa _tlsKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public TestAgent(ServerHarness server, string agentId, bool withFallback = false)
    {
        _server = server;
        AgentId = agentId;
        Fallback = withFallback ? ECDsa.Create(ECCurve.NamedCurves.nistP256) : null;
    }

    public string AgentId { get; set; }

    public ECDsa Signing { get; } = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public ECDsa? Fallback { get; set; }

    public X509Certificate2? Certificate { get; set; }

    public ECDsa TlsKey => _tlsKey;

    public Dictionary<long, byte[]> Secrets { get; } = [];

    public long Active { get; set; }

    public long Highest { get; set; }

    public TimeSpan ClockOffset { get; set; }

    public string Kid { get; set; } = "";

    /// <summary>Its TPM is lost: it signs with the software key, and says so.</summary>
    public bool InSoftware { get; set; }

    private string Protection => InSoftware ? Protections.Software : Protections.Tpm;

    public static RsaPublicJwk DecryptionJwk => RsaPublicJwk.FromModulus(Decryption.ExportParameters(false).Modulus);

    public UtcTime Now => _server.Now + ClockOffset;

    public ClockEvidence Clock => new(Now, 1000, 1, 1, 1, "boot-1", 5000);

    /// <summary>Exactly what a request needs besides its action's members, new each time.</summary>
    public static (string RequestId, Nonce16 Nonce) Fresh()
    {
        var bytes = RandomNumberGenerator.GetBytes(26);
        return (RequestId.From(new UtcTime(1_700_000_000_000 + Interlocked.Increment(ref count)), bytes.AsSpan(0, 10)),
            Nonce16.From(bytes.AsSpan(10)));
    }

    public EnrollRequest EnrollRequest(EnrollmentBundle bundle)
    {
        var (id, nonce) = Fresh();
        var fallback = Fallback is null ? null : new AgentKeyPair(EcPublicJwk.From(Fallback), DecryptionJwk);
        return new EnrollRequest(
            AgentId, id, nonce, Now, AgentActions.Enroll, bundle.EnrollmentToken,
            new AgentKeys(EcPublicJwk.From(Signing), DecryptionJwk, fallback),
            Base64UrlText.Encode(AgentCsr.Create(_tlsKey, AgentId)), "000b" + new string('a', 64));
    }

    public async Task<EnrollAnswer> EnrolAsync(EnrollmentBundle bundle)
    {
        var answer = await SendAsync<EnrollAnswer>(EnrollRequest(bundle));
        Assert.True(Base64UrlText.TryDecode(answer.CertificateChain[0], out var der));
        Certificate = X509CertificateLoader.LoadCertificate(der);
        Highest = answer.HighestVersion;
        Active = 0;
        return answer;
    }

    public RotateSecretRequest RotateRequest(string reason = RotationReasons.Scheduled)
    {
        var (id, nonce) = Fresh();
        return new RotateSecretRequest(
            AgentId, id, nonce, Now, AgentActions.RotateSecret, Active,
            Active == 0 ? "" : SecretKeys.Kcv(Secrets[Active]).ToString(), Highest, reason, Protection,
            new AuditEvidence(0, default, null), Clock);
    }

    public ConfirmRotationRequest ConfirmRequest(long version, byte[]? secret = null)
    {
        var (id, nonce) = Fresh();
        secret ??= Secrets[version];
        return new ConfirmRotationRequest(
            AgentId, id, nonce, Now, AgentActions.ConfirmRotation, version, SecretKeys.Kcv(secret),
            Proof(secret, version, nonce));
    }

    public RejectRotationRequest RejectRequest(long version)
    {
        var (id, nonce) = Fresh();
        return new RejectRotationRequest(
            AgentId, id, nonce, Now, AgentActions.RejectRotation, version, RejectReasons.UnwrapFailed);
    }

    public RenewCertificateRequest RenewCertificateRequest(ECDsa key, string? name = null)
    {
        var (id, nonce) = Fresh();
        return new RenewCertificateRequest(
            AgentId, id, nonce, Now, AgentActions.RenewCertificate,
            Base64UrlText.Encode(AgentCsr.Create(key, name ?? AgentId)));
    }

    public CheckInRequest CheckInRequest()
    {
        var (id, nonce) = Fresh();
        return new CheckInRequest(
            AgentId, id, nonce, Now, AgentActions.CheckIn, "NORMAL", null, Active, [.. Secrets.Keys.Order()], false,
            Protection, InSoftware ? TpmReports.Unavailable : TpmReports.Ok,
            new AuditEvidence(1, Digest32.Sha256([1]), null), Clock, 0, 1, "0.1.0");
    }

    /// <summary>The same operation, sent once more: new nonce, new time, new proof.</summary>
    public AgentRequest Again(AgentRequest request)
    {
        var (_, nonce) = Fresh();
        if (request is not ConfirmRotationRequest confirm) return request with { Nonce = nonce, Timestamp = Now };
        var proof = Proof(Secrets[confirm.SecretVersion], confirm.SecretVersion, nonce);
        return confirm with { Nonce = nonce, Timestamp = Now, Proof = proof };
    }

    public async Task<RotateSecretAnswer> PrepareAsync(string reason = RotationReasons.Scheduled)
    {
        var answer = await SendAsync<RotateSecretAnswer>(RotateRequest(reason));
        Stage(answer);
        return answer;
    }

    /// <summary>Unwraps, checks and keeps the secret, as the agent does before it confirms.</summary>
    public void Stage(RotateSecretAnswer answer)
    {
        var secret = Open(answer);
        Assert.Equal(answer.Kcv, SecretKeys.Kcv(secret));
        Assert.True(answer.SecretVersion >= Highest, $"version {answer.SecretVersion} is below {Highest}");
        Secrets[answer.SecretVersion] = secret;
        Highest = answer.SecretVersion;
    }

    public async Task<ConfirmRotationAnswer> ConfirmAsync(long version)
    {
        var answer = await SendAsync<ConfirmRotationAnswer>(ConfirmRequest(version));
        Active = answer.SecretVersion;
        return answer;
    }

    public async Task RotateAsync() => await ConfirmAsync((await PrepareAsync()).SecretVersion);

    public async Task<string> RefusedAsync(AgentRequest request) => (await SendAsync<RefusalAnswer>(request)).Error;

    public async Task<T> SendAsync<T>(AgentRequest request, bool allowRefusal = false) where T : ServerAnswer
    {
        var reply = await PostAsync(PathOf(request.Action), Sign(request));
        var answer = ReadAs(reply, request.Action);
        Assert.Equal(request.Nonce, answer.Nonce);
        Assert.Equal(request.RequestId, answer.RequestId);
        Assert.Equal(_server.Now, answer.ServerTime);
        return allowRefusal ? (T)answer : Assert.IsType<T>(answer);
    }

    public Task<AgentReply> PostAsync(string path, byte[] body) => _server.App.Api.HandleAsync(
        new AgentCall("POST", path, null, "application/jose", Certificate, "127.0.0.1", body));

    public byte[] Sign(AgentRequest request, ECDsa? key = null) => CompactJws.Create(
        new JwsHeader(Kid.Length > 0 ? Kid : InSoftware ? AgentId + "#fallback" : AgentId, JoseTypes.AgentRequest),
        Payload(request), data => Es256.Sign(key ?? (InSoftware ? Fallback! : Signing), data));

    /// <summary>Verifies the answer under the server's response key and reads it; a refusal is read as one.</summary>
    public ServerAnswer ReadAs(AgentReply reply, string action)
    {
        Assert.Equal(AnswerWriter.Signed, reply.ContentType);
        var jws = CompactJws.Parse(reply.Body, JoseTypes.ServerResponse, AgentApiLimits.AnswerBytes);
        var key = _server.App.Store.CurrentKeyset().Keyset.Find(jws.Kid, "response");
        Assert.True(jws.IsSignedBy(key!, Es256.Verify));
        var wire = AnswerJsonContext.Wire;
        if (reply.Status != 200) return StrictJson.Read(jws.Payload, wire.RefusalAnswer);
        return action switch
        {
            AgentActions.Enroll => StrictJson.Read(jws.Payload, wire.EnrollAnswer),
            AgentActions.RotateSecret => StrictJson.Read(jws.Payload, wire.RotateSecretAnswer),
            AgentActions.ConfirmRotation => StrictJson.Read(jws.Payload, wire.ConfirmRotationAnswer),
            AgentActions.RejectRotation => StrictJson.Read(jws.Payload, wire.RejectRotationAnswer),
            AgentActions.ValidateLicense => StrictJson.Read(jws.Payload, wire.LicenseValidationAnswer),
            AgentActions.RenewLicense => StrictJson.Read(jws.Payload, wire.LicenseRenewalAnswer),
            AgentActions.SecretStatus => StrictJson.Read(jws.Payload, wire.SecretStatusAnswer),
            AgentActions.RenewCertificate => StrictJson.Read(jws.Payload, wire.RenewCertificateAnswer),
            _ => StrictJson.Read(jws.Payload, wire.CheckInAnswer),
        };
    }

    public static byte[] Open(RotateSecretAnswer answer)
    {
        var parsed = SecretJwe.Parse(System.Text.Encoding.ASCII.GetBytes(answer.NewSecretEncrypted));
        var secret = new byte[32];
        var contentKey = Decryption.Decrypt(parsed.EncryptedKey.ToArray(), RSAEncryptionPadding.OaepSHA256);
        Assert.True(SecretJwe.Open(parsed, contentKey, secret));
        return secret;
    }

    public static string PathOf(string action) => action switch
    {
        AgentActions.Enroll => AgentPaths.Enroll,
        AgentActions.RotateSecret => AgentPaths.RotateSecret,
        AgentActions.ConfirmRotation => AgentPaths.ConfirmRotation,
        AgentActions.RejectRotation => AgentPaths.RejectRotation,
        AgentActions.ValidateLicense => AgentPaths.ValidateLicense,
        AgentActions.RenewLicense => AgentPaths.RenewLicense,
        AgentActions.RenewCertificate => AgentPaths.RenewCertificate,
        _ => AgentPaths.CheckIn,
    };

    private Digest32 Proof(byte[] secret, long version, Nonce16 nonce)
    {
        var popKey = new byte[32];
        SecretKeys.PopKey(secret, popKey);
        return SecretKeys.ConfirmProof(popKey, AgentId, version, nonce);
    }

    private static byte[] Payload(AgentRequest request)
    {
        var wire = RequestJsonContext.Wire;
        return request switch
        {
            EnrollRequest enroll => StrictJson.Write(enroll, wire.EnrollRequest),
            RotateSecretRequest rotate => StrictJson.Write(rotate, wire.RotateSecretRequest),
            ConfirmRotationRequest confirm => StrictJson.Write(confirm, wire.ConfirmRotationRequest),
            RejectRotationRequest reject => StrictJson.Write(reject, wire.RejectRotationRequest),
            LicenseValidationRequest validation => StrictJson.Write(validation, wire.LicenseValidationRequest),
            LicenseRenewalRequest renewal => StrictJson.Write(renewal, wire.LicenseRenewalRequest),
            CheckInRequest checkIn => StrictJson.Write(checkIn, wire.CheckInRequest),
            RenewCertificateRequest renew => StrictJson.Write(renew, wire.RenewCertificateRequest),
            _ => throw new ArgumentException("not a request", nameof(request)),
        };
    }
}
