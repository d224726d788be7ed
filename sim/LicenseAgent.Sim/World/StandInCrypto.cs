using System.Security.Cryptography;
using System.Text;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Sim.Kernel;

namespace LicenseAgent.Sim.World;

/// <summary>
/// Stand-ins for ES256 and RSA-OAEP behind the ports for signing and unwrapping: same shapes and sizes, deterministic,
/// and a hundredth of the time. They keep nobody out who knows the public key, and nobody in the simulation tries:
/// what it attacks is what the agent does with answers, not the mathematics. T0 and T2 run the real ones.
/// </summary>
internal static class StandInCrypto
{
    public static EcPublicJwk NewSigningKey(SimRandom chance)
    {
        Span<byte> xy = stackalloc byte[64];
        chance.Fill(xy);
        return EcPublicJwk.FromXY(xy[..32], xy[32..]);
    }

    public static RsaPublicJwk NewDecryptionKey(SimRandom chance)
    {
        Span<byte> modulus = stackalloc byte[RsaPublicJwk.ModulusLength];
        chance.Fill(modulus);
        modulus[0] |= 0x80;
        modulus[^1] |= 1;
        return RsaPublicJwk.FromModulus(modulus);
    }

    public static byte[] Sign(EcPublicJwk key, ReadOnlySpan<byte> data) => SignDigest(key, SHA256.HashData(data));

    public static byte[] SignDigest(EcPublicJwk key, ReadOnlySpan<byte> digest)
    {
        byte[] signature = new byte[Es256.SignatureLength];
        Derive("sign", key.X, digest, signature.AsSpan(0, 32));
        Derive("sign", key.Y, digest, signature.AsSpan(32));
        return signature;
    }

    public static bool Verify(EcPublicJwk key, ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature64) =>
        signature64.SequenceEqual(Sign(key, data));

    /// <summary>A compact JWE as the server makes one; only the key encryption is a stand-in.</summary>
    public static string Wrap(RsaPublicJwk key, string kid, ReadOnlySpan<byte> secret32, SimRandom chance)
    {
        Span<byte> cek = stackalloc byte[32];
        Span<byte> iv = stackalloc byte[12];
        chance.Fill(cek);
        chance.Fill(iv);
        byte[] aad = Encoding.ASCII.GetBytes(Base64UrlText.Encode(Encoding.ASCII.GetBytes(
            $$"""{"alg":"RSA-OAEP-256","enc":"A256GCM","kid":"{{kid}}","typ":"secret+jwe"}""")));
        byte[] cipher = new byte[32];
        byte[] tag = new byte[16];
        using (AesGcm gcm = new(cek, 16))
        {
            gcm.Encrypt(iv, secret32, cipher, tag, aad);
        }

        byte[] encrypted = new byte[RsaPublicJwk.ModulusLength];
        chance.Fill(encrypted.AsSpan(0, 32));
        Derive("pad", key.N, encrypted.AsSpan(0, 32), encrypted.AsSpan(32, 32));
        for (int i = 0; i < 32; i++)
        {
            encrypted[32 + i] ^= cek[i];
        }

        Derive("check", key.N, encrypted.AsSpan(0, 64), encrypted.AsSpan(64, 32));
        return string.Join('.', Encoding.ASCII.GetString(aad), Base64UrlText.Encode(encrypted),
            Base64UrlText.Encode(iv), Base64UrlText.Encode(cipher), Base64UrlText.Encode(tag));
    }

    /// <returns>32, or -1 when the ciphertext is not for this key.</returns>
    public static int Unwrap(RsaPublicJwk key, ReadOnlySpan<byte> cipher, Span<byte> plain)
    {
        Span<byte> derived = stackalloc byte[32];
        if (cipher.Length != RsaPublicJwk.ModulusLength)
        {
            return -1;
        }

        Derive("check", key.N, cipher[..64], derived);
        if (!derived.SequenceEqual(cipher.Slice(64, 32)))
        {
            return -1;
        }

        Derive("pad", key.N, cipher[..32], derived);
        for (int i = 0; i < 32; i++)
        {
            plain[i] = (byte)(derived[i] ^ cipher[32 + i]);
        }

        return 32;
    }

    private static void Derive(string label, string key, ReadOnlySpan<byte> data, Span<byte> into)
    {
        Span<byte> input = stackalloc byte[640];
        int length = Encoding.ASCII.GetBytes(label, input);
        length += Encoding.ASCII.GetBytes(key, input[length..]);
        data.CopyTo(input[length..]);
        SHA256.HashData(input[..(length + data.Length)], into);
    }
}
