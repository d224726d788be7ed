using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Protocol.Tokens;
using LicenseAgent.UnitTests.Server.Contract;
using LicensePki;
using LicenseServer.Agents;
using LicenseServer.Http;
using Xunit;

namespace LicenseAgent.UnitTests.Server;

/// <summary>An agent with software keys at a real server: real requests, real signatures, real unwrapping.</summary>
internal sealed class TestAgent(ServerHarness server, string agentId, bool withFallback = false) : AgentDouble(agentId)
{
    // Making an RSA key takes longer than most tests; whose key it is matters to none.
    private static readonly RSA Decryption = RSA.Create(2048);

    public ECDsa Signing { get; } = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public ECDsa? Fallback { get; set; } = withFallback ? ECDsa.Create(ECCurve.NamedCurves.nistP256) : null;

    public X509Certificate2? Certificate { get; set; }

    public string Kid { get; set; } = "";

    /// <summary>Its TPM is lost: it signs with the software key, and says so.</summary>
    public bool InSoftware { get; set; }

    public static RsaPublicJwk DecryptionJwk => RsaPublicJwk.FromModulus(Decryption.ExportParameters(false).Modulus);

    protected override UtcTime ServerNow => server.Now;

    protected override AgentKeys Keys => new(
        EcPublicJwk.From(Signing), DecryptionJwk,
        Fallback is null ? null : new AgentKeyPair(EcPublicJwk.From(Fallback), DecryptionJwk));

    protected override string Protection => InSoftware ? Protections.Software : Protections.Tpm;

    protected override string TpmReport => InSoftware ? TpmReports.Unavailable : TpmReports.Ok;

    public override async Task<EnrollAnswer> EnrolAsync(EnrollmentBundle bundle)
    {
        var answer = await base.EnrolAsync(bundle);
        Assert.True(Base64UrlText.TryDecode(answer.CertificateChain[0], out var der));
        Certificate = X509CertificateLoader.LoadCertificate(der);
        return answer;
    }

    public RenewCertificateRequest RenewCertificateRequest(ECDsa key, string? name = null)
    {
        var (id, nonce) = Fresh();
        return new RenewCertificateRequest(
            AgentId, id, nonce, Now, AgentActions.RenewCertificate,
            Base64UrlText.Encode(AgentCsr.Create(key, name ?? AgentId)));
    }

    public Task<AgentReply> PostAsync(string path, byte[] body) => server.App.Api.HandleAsync(
        new AgentCall("POST", path, null, "application/jose", Certificate, "127.0.0.1", body));

    public override byte[] Sign(AgentRequest request) => Sign(request, InSoftware ? Fallback! : Signing);

    public byte[] Sign(AgentRequest request, ECDsa key) => CompactJws.Create(
        new JwsHeader(Kid.Length > 0 ? Kid : InSoftware ? AgentId + "#fallback" : AgentId, JoseTypes.AgentRequest),
        Payload(request), data => Es256.Sign(key, data));

    public override async Task<ServerAnswer?> AskAsync(string action, byte[] body)
    {
        var reply = await PostAsync(PathOf(action), body);
        return reply.ContentType == AnswerWriter.Signed ? ReadAs(reply, action) : null;
    }

    /// <summary>Verifies the answer under the server's response key and reads it; a refusal is read as one.</summary>
    public ServerAnswer ReadAs(AgentReply reply, string action)
    {
        Assert.Equal(AnswerWriter.Signed, reply.ContentType);
        var jws = CompactJws.Parse(reply.Body, JoseTypes.ServerResponse, AgentApiLimits.AnswerBytes);
        var key = server.App.Store.CurrentKeyset().Keyset.Find(jws.Kid, "response");
        Assert.True(jws.IsSignedBy(key!, Es256.Verify));
        return Read(jws.Payload, reply.Status, action);
    }

    public override byte[] Unwrap(RotateSecretAnswer answer) => Open(answer);

    public static byte[] Open(RotateSecretAnswer answer)
    {
        var parsed = SecretJwe.Parse(System.Text.Encoding.ASCII.GetBytes(answer.NewSecretEncrypted));
        var secret = new byte[32];
        var contentKey = Decryption.Decrypt(parsed.EncryptedKey.ToArray(), RSAEncryptionPadding.OaepSHA256);
        Assert.True(SecretJwe.Open(parsed, contentKey, secret));
        return secret;
    }
}
