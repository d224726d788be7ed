using System.Security.Cryptography;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using Xunit;

namespace LicenseAgent.UnitTests.Protocol.Jose;

public sealed class CompactJwsTests : IDisposable
{
    private readonly ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public void Dispose() => key.Dispose();

    [Fact]
    public void A_token_comes_back_as_it_was_made()
    {
        byte[] token = Make("""{"a":1}"""u8, JoseTypes.AgentRequest, "pos-001#fallback");
        ParsedJws jws = CompactJws.Parse(token, JoseTypes.AgentRequest, 8192);
        Assert.Equal("pos-001#fallback", jws.Kid);
        Assert.Equal("""{"a":1}"""u8.ToArray(), jws.Payload.ToArray());
        Assert.True(jws.IsSignedBy(EcPublicJwk.From(key), Es256.Verify));
    }

    [Fact]
    public void The_header_is_written_in_the_order_of_the_specification()
    {
        byte[] input = CompactJws.SigningInput(new JwsHeader("pos-001", JoseTypes.AgentRequest), "x"u8);
        Assert.True(Base64UrlText.TryDecode(input.AsSpan(0, input.IndexOf((byte)'.')), out byte[] header));
        Assert.Equal(
            """{"alg":"ES256","kid":"pos-001","typ":"agent-request+jwt"}""",
            System.Text.Encoding.UTF8.GetString(header));
    }

    [Theory]
    [InlineData("""{"typ":"agent-request+jwt","kid":"k","alg":"ES256"}""", true)]
    [InlineData(""" { "alg" : "ES256" , "kid" : "k" , "typ" : "agent-request+jwt" } """, true)]
    [InlineData("""{"alg":"ES256","kid":"k"}""", false)]
    [InlineData("""{"alg":"ES256","typ":"agent-request+jwt"}""", false)]
    [InlineData("""{"kid":"k","typ":"agent-request+jwt"}""", false)]
    [InlineData("""{"alg":"none","kid":"k","typ":"agent-request+jwt"}""", false)]
    [InlineData("""{"alg":"ES384","kid":"k","typ":"agent-request+jwt"}""", false)]
    [InlineData("""{"alg":"es256","kid":"k","typ":"agent-request+jwt"}""", false)]
    [InlineData("""{"alg":["ES256"],"kid":"k","typ":"agent-request+jwt"}""", false)]
    [InlineData("""{"alg":"ES256","kid":"k","typ":"server-response+jwt"}""", false)]
    [InlineData("""{"alg":"ES256","kid":"k","typ":"AGENT-REQUEST+JWT"}""", false)]
    [InlineData("""{"alg":"ES256","kid":"k","typ":"agent-request+jwt","crit":["exp"]}""", false)]
    [InlineData("""{"alg":"ES256","kid":"k","typ":"agent-request+jwt","jwk":{}}""", false)]
    [InlineData("""{"alg":"ES256","kid":"k","typ":"agent-request+jwt","alg":"ES256"}""", false)]
    [InlineData("""{"alg":"ES256","kid":"k","kid":"k","typ":"agent-request+jwt"}""", false)]
    [InlineData("""{"\u0061lg":"ES256","kid":"k","typ":"agent-request+jwt"}""", false)]
    [InlineData("""{"alg":"ES256","kid":"","typ":"agent-request+jwt"}""", false)]
    [InlineData("""{"alg":"ES256","kid":"a b","typ":"agent-request+jwt"}""", false)]
    [InlineData("""{"alg":"ES256","kid":"é","typ":"agent-request+jwt"}""", false)]
    [InlineData("""{"alg":"ES256","kid":7,"typ":"agent-request+jwt"}""", false)]
    [InlineData("""{"alg":"ES256","kid":null,"typ":"agent-request+jwt"}""", false)]
    [InlineData("""{"alg":"ES256","kid":"k","typ":"agent-request+jwt"}{}""", false)]
    [InlineData("""{"alg":"ES256","kid":"k","typ":"agent-request+jwt",}""", false)]
    [InlineData("""["alg","ES256"]""", false)]
    [InlineData("", false)]
    public void Only_the_exact_header_is_taken(string header, bool good)
    {
        string input = Base64UrlText.Encode(System.Text.Encoding.UTF8.GetBytes(header)) + ".e30";
        byte[] token = CompactJws.Assemble(
            System.Text.Encoding.ASCII.GetBytes(input), Es256.Sign(key, System.Text.Encoding.ASCII.GetBytes(input)));
        Assert.Equal(good, CompactJws.TryParse(token, JoseTypes.AgentRequest, 8192, out ParsedJws? jws));
        Assert.Equal(good, jws is not null && jws.IsSignedBy(EcPublicJwk.From(key), Es256.Verify));
    }

    [Fact]
    public void Another_form_of_the_same_token_is_refused()
    {
        string token = System.Text.Encoding.ASCII.GetString(Make("{}"u8, JoseTypes.Keyset, "k"));
        string[] others =
        [
            token + "=", token + ".", "." + token, token + "\n", " " + token, token[..^1], token + "A", token[..^2],
            token.Replace(".e30.", ".e30=.", StringComparison.Ordinal),
            token.Replace(".e30.", ".e31.", StringComparison.Ordinal),
            token.Replace(".e30.", ".e30..", StringComparison.Ordinal),
            token.Replace(".e30.", ".e3 0.", StringComparison.Ordinal),
            token[..token.LastIndexOf('.')], token[..(token.LastIndexOf('.') + 1)], "", ".", "..", "...",
        ];
        Assert.All(others, other => Assert.Equal("jws", Assert.Throws<ProtocolException>(
            () => CompactJws.Parse(System.Text.Encoding.UTF8.GetBytes(other), JoseTypes.Keyset, 8192)).Code));
        Assert.True(CompactJws.TryParse(System.Text.Encoding.UTF8.GetBytes(token), JoseTypes.Keyset, 8192, out _));
    }

    [Fact]
    public void A_token_longer_than_its_reader_allows_is_not_looked_at()
    {
        byte[] token = Make("{}"u8, JoseTypes.Keyset, "k");
        Assert.True(CompactJws.TryParse(token, JoseTypes.Keyset, token.Length, out _));
        Assert.False(CompactJws.TryParse(token, JoseTypes.Keyset, token.Length - 1, out _));
    }

    [Fact]
    public void No_changed_byte_of_a_token_goes_unnoticed()
    {
        byte[] token = Make("""{"a":1,"b":"text"}"""u8, JoseTypes.ServerResponse, "kid");
        EcPublicJwk signer = EcPublicJwk.From(key);
        for (int i = 0; i < token.Length; i++)
        {
            for (int bit = 0; bit < 8; bit++)
            {
                byte[] changed = [.. token];
                changed[i] ^= (byte)(1 << bit);
                Assert.False(CompactJws.TryParse(changed, JoseTypes.ServerResponse, 8192, out ParsedJws? jws)
                    && jws.IsSignedBy(signer, Es256.Verify));
            }
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("a b")]
    [InlineData("a\"b")]
    [InlineData("ä")]
    public void A_kid_that_would_need_escapes_is_not_written(string kid) =>
        Assert.Equal("jose_kid", Assert.Throws<ProtocolException>(() => Make("{}"u8, JoseTypes.Keyset, kid)).Code);

    [Fact]
    public void A_type_nobody_signs_is_a_mistake_of_the_caller() =>
        Assert.Throws<ArgumentException>(() => Make("{}"u8, JoseTypes.SecretJwe, "k"));

    private byte[] Make(ReadOnlySpan<byte> payload, string typ, string kid) =>
        CompactJws.Create(new JwsHeader(kid, typ), payload, data => Es256.Sign(key, data));
}
