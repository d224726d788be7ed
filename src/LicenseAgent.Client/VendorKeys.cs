using System.Security.Cryptography;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Jose;

namespace LicenseAgent.Client;

/// <summary>Public keys of the vendor, as an application carries them.</summary>
public static class VendorKeys
{
    /// <summary>One or more P-256 public keys as PEM (<c>BEGIN PUBLIC KEY</c>), as OpenSSL writes them.</summary>
    /// <exception cref="ArgumentException">No key, another kind of key, or a private key.</exception>
    public static IReadOnlyList<EcPublicJwk> FromPem(string pem)
    {
        ArgumentNullException.ThrowIfNull(pem);
        var keys = new List<EcPublicJwk>();
        ReadOnlySpan<char> rest = pem;
        while (PemEncoding.TryFind(rest, out PemFields fields))
        {
            if (!rest[fields.Label].SequenceEqual("PUBLIC KEY"))
                throw new ArgumentException("Only public keys belong into an application.", nameof(pem));
            keys.Add(Read(rest[fields.Location]));
            rest = rest[fields.Location.End..];
        }
        return keys.Count > 0 ? keys : throw new ArgumentException("There is no PEM public key.", nameof(pem));
    }

    private static EcPublicJwk Read(ReadOnlySpan<char> pem)
    {
        using ECDsa key = ECDsa.Create();
        try
        {
            key.ImportFromPem(pem);
            return key.KeySize == 256
                ? EcPublicJwk.From(key)
                : throw new ArgumentException("A vendor key is an ECC key on P-256.");
        }
        catch (Exception e) when (e is CryptographicException or ProtocolException)
        {
            throw new ArgumentException("A vendor key is an ECC key on P-256.", e);
        }
    }
}
