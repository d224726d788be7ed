using System.Security.Cryptography;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using Xunit;

namespace LicenseAgent.UnitTests.Protocol.Jose;

public sealed class SecretJweTests : IDisposable
{
    private static readonly byte[] Secret = [.. Enumerable.Range(1, 32).Select(i => (byte)i)];
    private static readonly byte[] Cek = [.. Enumerable.Range(100, 32).Select(i => (byte)i)];

    private readonly RSA rsa = RSA.Create(2048);

    public void Dispose() => rsa.Dispose();

    [Fact]
    public void A_secret_comes_back_through_the_key_it_was_sealed_to()
    {
        ParsedSecretJwe parsed = SecretJwe.Parse(Sealed());
        Assert.Equal(("pos-001.v7", "pos-001", 7L), (parsed.Kid, parsed.AgentId, parsed.Version));
        byte[] cek = rsa.Decrypt(parsed.EncryptedKey, RSAEncryptionPadding.OaepSHA256);
        byte[] secret = new byte[32];
        Assert.True(SecretJwe.Open(parsed, cek, secret));
        Assert.Equal(Secret, secret);
    }

    [Fact]
    public void Another_content_key_opens_nothing_and_leaves_zeros()
    {
        byte[] secret = [.. Enumerable.Repeat((byte)9, 32)];
        Assert.False(SecretJwe.Open(SecretJwe.Parse(Sealed()), new byte[32], secret));
        Assert.Equal(new byte[32], secret);
        Assert.False(SecretJwe.Open(SecretJwe.Parse(Sealed()), new byte[16], secret));
    }

    [Fact]
    public void No_changed_byte_goes_unnoticed()
    {
        byte[] token = Sealed();
        int opened = 0;
        for (int i = 0; i < token.Length; i++)
        {
            byte[] changed = [.. token];
            changed[i] ^= 1;
            opened += Opens(changed) ? 1 : 0;
        }
        Assert.Equal(0, opened);
        Assert.True(Opens(token));
    }

    [Fact]
    public void Another_header_or_shape_is_refused()
    {
        string[] parts = System.Text.Encoding.ASCII.GetString(Sealed()).Split('.');
        const string Zip = """{"alg":"RSA-OAEP-256","enc":"A256GCM","kid":"a.v1","typ":"secret+jwe","zip":"DEF"}""";
        string Header(string json) => Base64UrlText.Encode(System.Text.Encoding.UTF8.GetBytes(json));
        string[][] hostile =
        [
            [Header("""{"alg":"RSA-OAEP","enc":"A256GCM","kid":"a.v1","typ":"secret+jwe"}"""), .. parts[1..]],
            [Header("""{"alg":"RSA-OAEP-256","enc":"A128GCM","kid":"a.v1","typ":"secret+jwe"}"""), .. parts[1..]],
            [Header("""{"alg":"RSA-OAEP-256","enc":"A256GCM","kid":"a","typ":"secret+jwe"}"""), .. parts[1..]],
            [Header("""{"alg":"RSA-OAEP-256","enc":"A256GCM","kid":"a.v1","typ":"license+jwe"}"""), .. parts[1..]],
            [Header(Zip), .. parts[1..]],
            [parts[0], parts[1] + "AAAA", .. parts[2..]],
            [parts[0], parts[1], parts[2] + "AAAA", .. parts[3..]],
            [parts[0], parts[1], parts[2], parts[3] + "AAAA", parts[4]],
            [parts[0], parts[1], parts[2], parts[3], parts[4] + "AAAA"],
            [.. parts, ""],
            parts[..4],
            [.. parts[..4], parts[4] + new string('A', 1024)],
        ];
        Assert.All(hostile, token => Assert.Equal("secret_jwe", Assert.Throws<ProtocolException>(
            () => SecretJwe.Parse(System.Text.Encoding.ASCII.GetBytes(string.Join('.', token)))).Code));
    }

    private byte[] Sealed() => SecretJwe.Seal(
        RsaPublicJwk.FromModulus(rsa.ExportParameters(false).Modulus), "pos-001.v7", Secret, new byte[12], Cek);

    private bool Opens(byte[] token)
    {
        try
        {
            ParsedSecretJwe parsed = SecretJwe.Parse(token);
            return rsa.Decrypt(parsed.EncryptedKey, RSAEncryptionPadding.OaepSHA256) is var cek
                && SecretJwe.Open(parsed, cek, new byte[32]);
        }
        catch (ProtocolException)
        {
            return false;
        }
        catch (CryptographicException)
        {
            // OAEP refused the encrypted key, as the TPM would.
            return false;
        }
    }
}
