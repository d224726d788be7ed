using System.Numerics;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using LicenseAgent.Protocol.Jose;

namespace LicenseAgent.UnitTests.Protocol.Vectors;

/// <summary>
/// A P-256 key made of a name, with deterministic signatures (RFC 6979), so that vector files come out the same
/// every time. Not constant time: for vectors only.
/// </summary>
internal sealed class FixedEcKey
{
    private static readonly BigInteger Order = BigInteger.Parse(
        "00FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551",
        System.Globalization.NumberStyles.HexNumber, System.Globalization.CultureInfo.InvariantCulture);

    private readonly BigInteger d;

    public FixedEcKey(ReadOnlySpan<byte> scalar)
    {
        d = Number(scalar) % Order;
        Public = PointOf(d);
        Kid = Public.Thumbprint().ToString();
    }

    public EcPublicJwk Public { get; }

    public string Kid { get; }

    public static FixedEcKey Named(string name) =>
        new(SHA256.HashData(System.Text.Encoding.ASCII.GetBytes("license-agent/vectors/" + name)));

    public byte[] Sign(ReadOnlySpan<byte> data)
    {
        byte[] hash = SHA256.HashData(data);
        BigInteger k = NonceOf(hash);
        BigInteger r = Number(JsonValue.Create(PointOf(k).X).Bytes()) % Order;
        BigInteger s = BigInteger.ModPow(k, Order - 2, Order) * (Number(hash) + (r * d)) % Order;
        return Es256.Join(Octets(r), Octets(s));
    }

    /// <summary>The other signature that verifies: (r, n − s).</summary>
    public static byte[] Negated(ReadOnlySpan<byte> signature64) =>
        Es256.Join(signature64[..32], Octets(Order - Number(signature64[32..])));

    /// <summary>RFC 6979 §3.2, for SHA-256 and a group order of the same length.</summary>
    private BigInteger NonceOf(byte[] hash)
    {
        byte[] seed = [.. Octets(d), .. Octets(Number(hash) % Order)];
        byte[] k = new byte[32], v = [.. Enumerable.Repeat((byte)1, 32)];
        for (byte round = 0; round < 2; round++)
        {
            k = HMACSHA256.HashData(k, (byte[])[.. v, round, .. seed]);
            v = HMACSHA256.HashData(k, v);
        }
        while (true)
        {
            v = HMACSHA256.HashData(k, v);
            BigInteger candidate = Number(v);
            if (candidate > 0 && candidate < Order)
                return candidate;
            k = HMACSHA256.HashData(k, (byte[])[.. v, 0]);
            v = HMACSHA256.HashData(k, v);
        }
    }

    private static EcPublicJwk PointOf(BigInteger scalar)
    {
        using ECDsa key = ECDsa.Create(
            new ECParameters { Curve = ECCurve.NamedCurves.nistP256, D = Octets(scalar) });
        return EcPublicJwk.From(key);
    }

    private static BigInteger Number(ReadOnlySpan<byte> bytes) => new(bytes, isUnsigned: true, isBigEndian: true);

    private static byte[] Octets(BigInteger number)
    {
        byte[] bytes = number.ToByteArray(isUnsigned: true, isBigEndian: true);
        return [.. new byte[32 - bytes.Length], .. bytes];
    }
}
