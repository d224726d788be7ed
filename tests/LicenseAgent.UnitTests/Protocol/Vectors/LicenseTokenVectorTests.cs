using System.Security.Cryptography;
using System.Text.Json.Nodes;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Tokens;
using Xunit;

namespace LicenseAgent.UnitTests.Protocol.Vectors;

public sealed class LicenseTokenVectorTests
{
    private static readonly JsonObject File = VectorFile.Read(LicenseTokenVectors.FileName);

    public static TheoryData<string> Names() => [.. Rows().Select(row => row["name"].String())];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_token_has_the_outcome_that_its_vector_says(string name)
    {
        JsonNode row = Rows().Single(r => r["name"].String() == name);
        Assert.Equal(row["outcome"].String(), OutcomeOf(row["token"].String()));
    }

    [Fact]
    public void Every_outcome_has_vectors() =>
        Assert.Equal(
            ["malformed_claims", "malformed_inner", "opened", "other_kid", "shape", "unknown_signer", "wrong_signature",
                "wrong_tag"],
            Rows().Select(row => row["outcome"].String()).Distinct().Order(StringComparer.Ordinal));

    [Fact]
    public void The_file_is_what_the_generator_makes() =>
        Assert.Equal(VectorFile.Text(LicenseTokenVectors.File()), VectorFile.ReadText(LicenseTokenVectors.FileName));

    /// <summary>Run with <c>-explicit only</c> after a change of the generator, and read the difference.</summary>
    [Fact(Explicit = true)]
    public void Write_the_file_anew() => VectorFile.Write(LicenseTokenVectors.FileName, LicenseTokenVectors.File());

    private static IEnumerable<JsonNode> Rows() => File["tokens"]!.AsArray().Select(row => row!);

    private static string OutcomeOf(string token)
    {
        if (!LicenseToken.TryParseShape(System.Text.Encoding.UTF8.GetBytes(token), out LicenseTokenShape shape))
            return "shape";
        if (shape.Kid != File["kid"].String())
            return "other_kid";
        byte[] contentKey = new byte[32];
        SecretKeys.TokenContentKey(File["secret"].Bytes(), shape.Kid, contentKey);
        Assert.Equal(File["content_key"].Bytes(), contentKey);
        using var gcm = new AesGcm(contentKey, 16);
        JsonNode key = File["server_key"]!;
        var server = new EcPublicJwk(key["crv"].String(), key["kty"].String(), key["x"].String(), key["y"].String());
        LicenseSigner signers = kid => kid == server.Thumbprint().ToString() ? server : null;
        LicenseOutcome outcome = LicenseOpening.Open(
            shape, gcm, signers, Es256.Verify, out VerifiedLicense? license);
        Assert.Equal(outcome == LicenseOutcome.Opened, license is not null);
        return System.Text.Json.JsonNamingPolicy.SnakeCaseLower.ConvertName(outcome.ToString());
    }
}
