using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using Xunit;

namespace LicenseAgent.UnitTests.Protocol.Jose;

public sealed class Es256Tests
{
    // RFC 7515 appendix A.3.
    private const string Rfc7515Input =
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp"
        + "0cnVlfQ";

    private const string Rfc7515Signature =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

    private static readonly EcPublicJwk Rfc7515Key = new(
        "P-256", "EC", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");

    [Fact]
    public void The_signature_of_RFC_7515_A_3_verifies() =>
        Assert.True(Es256.Verify(Rfc7515Key, System.Text.Encoding.ASCII.GetBytes(Rfc7515Input), Signature()));

    [Fact]
    public void The_token_of_RFC_7515_A_3_is_none_of_ours_because_its_header_is_not()
    {
        byte[] token = System.Text.Encoding.ASCII.GetBytes($"{Rfc7515Input}.{Rfc7515Signature}");
        Assert.False(CompactJws.TryParse(token, JoseTypes.LicenseJwt, 8192, out _));
    }

    [Fact]
    public void A_changed_bit_of_data_or_signature_verifies_no_more()
    {
        byte[] data = System.Text.Encoding.ASCII.GetBytes(Rfc7515Input);
        for (int i = 0; i < 64; i++)
        {
            byte[] signature = Signature();
            signature[i] ^= (byte)(1 << (i % 8));
            Assert.False(Es256.Verify(Rfc7515Key, data, signature));
        }
        data[30] ^= 1;
        Assert.False(Es256.Verify(Rfc7515Key, data, Signature()));
    }

    [Fact]
    public void A_der_signature_is_refused()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        byte[] der = key.SignData("data"u8.ToArray(), HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence);
        Assert.False(Es256.Verify(EcPublicJwk.From(key), "data"u8, der));
    }

    [Fact]
    public void Zero_and_the_group_order_are_no_signature()
    {
        byte[] n = Convert.FromHexString("FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551");
        Assert.False(Es256.Verify(Rfc7515Key, "data"u8, new byte[64]));
        Assert.False(Es256.Verify(Rfc7515Key, "data"u8, Es256.Join(n, n)));
    }

    [Fact]
    public void What_is_signed_here_verifies_here_and_with_the_bcl()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        byte[] signature = Es256.Sign(key, "data"u8);
        Assert.Equal(64, signature.Length);
        Assert.True(Es256.Verify(EcPublicJwk.From(key), "data"u8, signature));
        Assert.True(key.VerifyData("data"u8, signature, HashAlgorithmName.SHA256));
    }

    [Fact]
    public void Short_halves_of_a_signature_are_padded_on_the_left()
    {
        byte[] joined = Es256.Join([7], [8, 9]);
        Assert.Equal((7, 8, 9), (joined[31], joined[62], joined[63]));
        Assert.Equal(7 + 8 + 9, joined.Sum(b => b));
        Assert.Throws<ArgumentOutOfRangeException>(() => Es256.Join(new byte[33], []));
    }

    [Fact]
    public void More_keys_than_are_kept_verify_all_the_same()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        EcPublicJwk good = EcPublicJwk.From(key);
        byte[] signature = Es256.Sign(key, "data"u8);
        for (int i = 0; i < 1100; i++)
        {
            using ECDsa other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            Assert.False(Es256.Verify(EcPublicJwk.From(other), "data"u8, signature));
        }
        Assert.True(Es256.Verify(good, "data"u8, signature));
    }

    [Fact]
    public void One_key_verifies_on_many_threads_at_once()
    {
        byte[] data = System.Text.Encoding.ASCII.GetBytes(Rfc7515Input), signature = Signature();
        Parallel.For(0, 500, i => Assert.True(Es256.Verify(Rfc7515Key, data, signature)));
    }

    private static byte[] Signature()
    {
        Assert.True(Base64UrlText.TryDecode(Rfc7515Signature, out byte[] signature));
        return signature;
    }
}
