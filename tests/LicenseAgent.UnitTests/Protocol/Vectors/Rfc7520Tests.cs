using System.Security.Cryptography;
using System.Text.Json.Nodes;
using LicenseAgent.Protocol.Tokens;
using Xunit;

namespace LicenseAgent.UnitTests.Protocol.Vectors;

public sealed class Rfc7520Tests
{
    [Theory]
    [InlineData("direct")]
    [InlineData("nested")]
    public void The_encrypted_content_opens_to_the_plaintext(string example)
    {
        JsonNode row = VectorFile.Read("rfc7520.json")[example]!;
        var shape = new LicenseTokenShape(
            "", "", 1, Ascii(row, "protected"), Ascii(row, "iv"), Ascii(row, "ciphertext"), Ascii(row, "tag"));
        using var key = new AesGcm(row["key"].Bytes(), 16);
        Assert.True(LicenseToken.TryOpen(shape, key, out byte[] plaintext));
        Assert.Equal(row["plaintext"].String(), System.Text.Encoding.UTF8.GetString(plaintext));
    }

    [Theory]
    [InlineData("direct")]
    [InlineData("nested")]
    public void The_token_is_none_of_ours_because_its_header_is_not(string example)
    {
        JsonNode row = VectorFile.Read("rfc7520.json")[example]!;
        string token = $"{row["protected"]}..{row["iv"]}.{row["ciphertext"]}.{row["tag"]}";
        Assert.False(LicenseToken.TryParseShape(System.Text.Encoding.ASCII.GetBytes(token), out _));
    }

    [Fact]
    public void The_nested_signature_is_none_of_ours_because_its_algorithm_is_not() =>
        Assert.False(LicenseToken.TryParseInner(Ascii(VectorFile.Read("rfc7520.json")["nested"]!, "plaintext"), out _));

    private static byte[] Ascii(JsonNode row, string member) =>
        System.Text.Encoding.ASCII.GetBytes(row[member].String());
}
