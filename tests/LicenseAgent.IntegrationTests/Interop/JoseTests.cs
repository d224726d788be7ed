using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using LicenseAgent.Client;
using LicenseAgent.IntegrationTests.EndToEnd;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Local;
using Xunit;

namespace LicenseAgent.IntegrationTests.Interop;

/// <summary>Our tokens and messages against another implementation of JOSE.</summary>
public sealed class JoseTests(JoseTill jose) : IClassFixture<JoseTill>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public static TheoryData<string> Hostile { get; } =
    [
        "inner_unsecured",
        "inner_hs256_with_the_public_key",
        "inner_of_another_key_under_the_server_kid",
        "inner_with_its_own_key_in_the_header",
        "inner_es384",
        "inner_by_the_response_key",
        "inner_of_another_type",
        "inner_without_type",
        "inner_with_a_critical_extension",
        "claims_without_a_signature",
        "outer_a128gcm",
        "outer_cbc",
        "outer_key_wrap",
        "outer_password",
        "outer_with_a_key_url",
        "outer_with_a_critical_extension",
        "outer_of_another_type",
        "outer_under_the_key_of_another_name",
        "general_serialization",
        "signed_and_not_encrypted",
    ];

    [Fact]
    public async Task A_token_that_jose_minted_is_valid_at_the_agent()
    {
        LicenseValidation answer = await jose.Till.ValidateAsync(await jose.MintAsync(Cancel));

        Assert.Equal((ValidationReasons.Valid, "lic-jose"), (answer.Reason, answer.LicenseId));
        Assert.Equal("Zürich", answer.Metadata["shop"]);
    }

    [Fact]
    public async Task A_token_of_ours_opens_and_verifies_in_jose()
    {
        JsonElement opened = await jose.OpenAsync(await LostAnswerTests.IssueAsync(jose.Till), Cancel);

        Assert.Equal("register", opened.GetProperty("claims").GetProperty("product").GetString());
        Assert.Equal(LiveTill.Name, opened.GetProperty("claims").GetProperty("aud").GetString());
        Assert.Equal("pos-001.v1", opened.GetProperty("outer").GetProperty("kid").GetString());
    }

    [Fact]
    public async Task Every_hostile_token_of_the_script_is_tried() => Assert.Equal(
        Hostile.Select(row => row.Data),
        (await JoseTool.RunAsync("hostile", null, Cancel)).EnumerateArray().Select(name => name.GetString()!));

    [Theory]
    [MemberData(nameof(Hostile))]
    public async Task A_hostile_token_of_jose_is_refused_by_the_agent(string variant)
    {
        LicenseValidation answer = await jose.Till.ValidateAsync(await jose.MintAsync(Cancel, variant));

        Assert.Equal((false, ValidationReasons.InvalidToken), (answer.IsValid, answer.Reason));
    }

    [Theory]
    [InlineData("exp", 1, ValidationReasons.Expired)]
    [InlineData("nbf", 4_000_000_000, ValidationReasons.NotYetValid)]
    [InlineData("aud", "pos-002", ValidationReasons.WrongAgent)]
    public async Task A_claim_of_jose_is_judged_as_one_of_ours(string claim, object value, string reason)
    {
        string token = await jose.MintAsync(Cancel, change: claims => claims[claim] = JsonValue.Create(value));

        Assert.Equal(reason, (await jose.Till.ValidateAsync(token)).Reason);
    }

    [Theory]
    [InlineData("pos-002.v1", ValidationReasons.WrongAgent)]
    [InlineData("pos-001.v99", ValidationReasons.UnknownSecret)]
    public async Task A_name_of_jose_is_judged_as_one_of_ours(string kid, string reason) =>
        Assert.Equal(reason, (await jose.Till.ValidateAsync(await jose.MintAsync(Cancel, kid: kid))).Reason);

    [Theory]
    [InlineData("receipts.jws", "check-in")]
    [InlineData("secrets/v1.jws", "rotate-secret")]
    public async Task An_answer_of_the_server_verifies_in_jose(string file, string action)
    {
        string path = Path.Combine(jose.Till.Folder.State, file);
        await Eventually.HoldsAsync(() => File.Exists(path), $"no {file}", Cancel);
        string jws = await File.ReadAllTextAsync(path, Cancel);
        // One answer a line, the newest last.
        JsonElement verified = await VerifyAsync(jws.TrimEnd().Split('\n')[^1], jose.ResponseKey());

        Assert.Equal(action, verified.GetProperty("payload").GetProperty("action").GetString());
        Assert.Equal(
            verified.GetProperty("thumbprint").GetString(),
            verified.GetProperty("header").GetProperty("kid").GetString());
        Assert.Equal("server-response+jwt", verified.GetProperty("header").GetProperty("typ").GetString());
    }

    [Fact]
    public async Task A_checkpoint_that_the_TPM_signed_verifies_in_jose()
    {
        // A till of its own: the others' tokens stand under the first secret.
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        await till.Operator.RotateAsync(Cancel);
        await till.AgreementAsync();
        string jws = await Eventually.GetAsync(
            () => Task.FromResult(CheckpointOf(till)), () => "no checkpoint follows the rotation", Cancel);
        using JsonDocument agent = JsonDocument.Parse(
            await File.ReadAllBytesAsync(Path.Combine(till.Folder.State, "agent.json"), Cancel));
        string key = agent.RootElement.GetProperty("keys").GetProperty("signing").GetRawText();

        JsonElement verified = await VerifyAsync(jws, JsonNode.Parse(key)!);

        Assert.Equal("audit-checkpoint+jwt", verified.GetProperty("header").GetProperty("typ").GetString());
    }

    // The last line may be on its way.
    private static string? CheckpointOf(LiveTill till) => File.ReadAllText(till.Folder.AuditLog).Split('\n')[..^1]
        .Select(line => JsonDocument.Parse(line).RootElement)
        .Where(record => record.GetProperty("event").GetString() == "checkpoint_written")
        .Select(record => record.GetProperty("details").GetProperty("jws").GetString()).LastOrDefault();

    [Fact]
    public async Task A_request_that_jose_signed_is_read_and_verified_by_ours()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        string jws = await JoseTool.TextAsync(
            "sign",
            new JsonObject
            {
                ["header"] = new JsonObject
                {
                    ["alg"] = "ES256",
                    ["kid"] = "pos-001",
                    ["typ"] = JoseTypes.AgentRequest,
                },
                ["payload"] = new JsonObject { ["action"] = "check-in" },
                ["key"] = Base64UrlText.Encode(key.ExportPkcs8PrivateKey()),
            },
            Cancel);

        ParsedJws parsed = CompactJws.Parse(Encoding.ASCII.GetBytes(jws), JoseTypes.AgentRequest, 1000);

        Assert.True(parsed.IsSignedBy(EcPublicJwk.From(key), Es256.Verify));
        Assert.Equal("pos-001", parsed.Kid);
    }

    [Fact]
    public async Task A_request_of_ours_verifies_in_jose()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        byte[] jws = CompactJws.Create(
            new JwsHeader("pos-001", JoseTypes.AgentRequest), """{"action":"check-in"}"""u8,
            data => Es256.Sign(key, data));

        JsonElement verified = await VerifyAsync(Encoding.ASCII.GetString(jws), JoseTill.Jwk(EcPublicJwk.From(key)));

        Assert.Equal(
            EcPublicJwk.From(key).Thumbprint().ToString(), verified.GetProperty("thumbprint").GetString());
    }

    [Fact]
    public async Task Jose_refuses_a_changed_message_of_ours()
    {
        string jws = await File.ReadAllTextAsync(Path.Combine(jose.Till.Folder.State, "secrets", "v1.jws"), Cancel);
        // The first character of the signature: the last one's low bits belong to no byte.
        int at = jws.LastIndexOf('.') + 1;
        string changed = jws[..at] + (jws[at] == 'A' ? 'B' : 'A') + jws[(at + 1)..];

        await Assert.ThrowsAsync<JoseRefusedException>(() => VerifyAsync(changed, jose.ResponseKey()));
    }

    [Fact]
    public async Task A_secret_that_ours_sealed_opens_in_jose()
    {
        using RSA key = RSA.Create(2048);
        byte[] secret = RandomNumberGenerator.GetBytes(SecretJwe.SecretLength);
        byte[] jwe = SecretJwe.Seal(
            PublicJwk(key), "pos-001.v7", secret, RandomNumberGenerator.GetBytes(12),
            RandomNumberGenerator.GetBytes(32));

        JsonElement opened = await JoseTool.RunAsync(
            "unseal",
            new JsonObject
            {
                ["jwe"] = Encoding.ASCII.GetString(jwe),
                ["key"] = Base64UrlText.Encode(key.ExportPkcs8PrivateKey()),
            },
            Cancel);

        Assert.Equal(Base64UrlText.Encode(secret), opened.GetProperty("secret").GetString());
    }

    [Fact]
    public async Task A_secret_that_jose_sealed_opens_with_ours()
    {
        using RSA key = RSA.Create(2048);
        RsaPublicJwk jwk = PublicJwk(key);
        byte[] secret = RandomNumberGenerator.GetBytes(SecretJwe.SecretLength);
        string jwe = await JoseTool.TextAsync(
            "seal",
            new JsonObject
            {
                ["jwk"] = new JsonObject { ["kty"] = jwk.Kty, ["e"] = jwk.E, ["n"] = jwk.N },
                ["kid"] = "pos-001.v7",
                ["secret"] = Base64UrlText.Encode(secret),
            },
            Cancel);

        ParsedSecretJwe parsed = SecretJwe.Parse(Encoding.ASCII.GetBytes(jwe));
        byte[] opened = new byte[SecretJwe.SecretLength];

        Assert.True(SecretJwe.Open(
            parsed, key.Decrypt(parsed.EncryptedKey, RSAEncryptionPadding.OaepSHA256), opened));
        Assert.Equal(secret, opened);
    }

    private static RsaPublicJwk PublicJwk(RSA key) => RsaPublicJwk.FromModulus(key.ExportParameters(false).Modulus);

    private static Task<JsonElement> VerifyAsync(string jws, JsonNode jwk) =>
        JoseTool.RunAsync("verify", new JsonObject { ["jws"] = jws, ["jwk"] = jwk }, Cancel);
}
