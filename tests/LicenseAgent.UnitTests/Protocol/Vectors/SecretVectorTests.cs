using System.Security.Cryptography;
using System.Text.Json.Nodes;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Tokens;
using Xunit;

namespace LicenseAgent.UnitTests.Protocol.Vectors;

public sealed class SecretVectorTests
{
    private static readonly JsonObject File = VectorFile.Read(SecretVectors.FileName);

    public static TheoryData<string> Names() => [.. Rows().Select(row => row["name"].String())];

    [Theory]
    [MemberData(nameof(Names))]
    public void An_encrypted_secret_has_the_outcome_that_its_vector_says(string name)
    {
        JsonNode row = Rows().Single(r => r["name"].String() == name);
        Assert.Equal(row["outcome"].String(), OutcomeOf(System.Text.Encoding.UTF8.GetBytes(row["token"].String())));
    }

    [Fact]
    public void The_keys_of_a_secret_are_those_of_the_file()
    {
        byte[] secret = File["secret"].Bytes(), content = new byte[32], pop = new byte[32];
        JsonNode derived = File["derived"]!;
        SecretKeys.TokenContentKey(secret, File["kid"].String(), content);
        SecretKeys.PopKey(secret, pop);
        Assert.Equal(derived["token_content_key"].Bytes(), content);
        Assert.Equal(derived["pop_key"].Bytes(), pop);
        Assert.Equal(derived["kcv"].String(), SecretKeys.Kcv(secret).ToString());
        Nonce16 nonce = Nonce16.From(derived["confirm_nonce"].Bytes());
        Assert.Equal(derived["confirm_proof"].String(), SecretKeys.ConfirmProof(pop, "pos-001", 7, nonce).ToString());
    }

    [Fact]
    public void The_file_is_what_the_generator_makes() =>
        Assert.Equal(VectorFile.Text(SecretVectors.File()), VectorFile.ReadText(SecretVectors.FileName));

    /// <summary>Run with <c>-explicit only</c> after a change of the generator, and read the difference.</summary>
    [Fact(Explicit = true)]
    public void Write_the_file_anew() => VectorFile.Write(SecretVectors.FileName, SecretVectors.File());

    private static IEnumerable<JsonNode> Rows() => File["tokens"]!.AsArray().Select(row => row!);

    private static string OutcomeOf(byte[] token)
    {
        ParsedSecretJwe parsed;
        try
        {
            parsed = SecretJwe.Parse(token);
        }
        catch (ProtocolException)
        {
            return "shape";
        }
        using RSA rsa = FixedRsaKey.Open();
        byte[] secret = new byte[32], cek;
        try
        {
            cek = rsa.Decrypt(parsed.EncryptedKey, RSAEncryptionPadding.OaepSHA256);
        }
        catch (CryptographicException)
        {
            return "wrong_key";
        }
        if (!SecretJwe.Open(parsed, cek, secret))
            return "wrong_tag";
        Assert.Equal((File["kid"].String(), File["secret"].String()), (parsed.Kid, Base64UrlText.Encode(secret)));
        return "opened";
    }
}
