using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Client;

/// <summary>
/// An operator's certificate with its key, for an agent that wants one (<c>management.ca_cert</c>). P-256 keys sign
/// with ES256, RSA keys from 2 048 bits with PS256.
/// </summary>
public sealed class OperatorCredentials : IDisposable
{
    private const string P256Oid = "1.2.840.10045.3.1.7";

    private readonly X509Certificate2 certificate;
    private readonly ECDsa? ec;
    private readonly RSA? rsa;

    private OperatorCredentials(X509Certificate2 certificate, X509Certificate2Collection chain)
    {
        this.certificate = certificate;
        ec = certificate.GetECDsaPrivateKey();
        rsa = ec is null ? certificate.GetRSAPrivateKey() : null;
        bool known = ec?.ExportParameters(false).Curve.Oid.Value == P256Oid || rsa?.KeySize >= 2048;
        if (!known)
        {
            Dispose();
            throw new CryptographicException("the key is neither P-256 nor RSA with 2048 bits or more");
        }
        Chain = [.. chain.Select(one => Base64UrlText.Encode(one.RawDataMemory.Span))];
    }

    /// <summary>The operator's own certificate first.</summary>
    internal IReadOnlyList<string> Chain { get; }

    /// <summary>Reads PEM.</summary>
    /// <param name="certificates">The operator's certificate, then those that lead to the authority, if any.</param>
    /// <param name="key">Its private key, not encrypted. It may be the same text.</param>
    /// <exception cref="CryptographicException">The key is not this certificate's, or of a kind not known.</exception>
    public static OperatorCredentials FromPem(ReadOnlySpan<char> certificates, ReadOnlySpan<char> key)
    {
        X509Certificate2Collection chain = [];
        chain.ImportFromPem(certificates);
        try
        {
            return new OperatorCredentials(X509Certificate2.CreateFromPem(certificates, key), chain);
        }
        catch (ArgumentException e)
        {
            throw new CryptographicException(e.Message, e);
        }
        finally
        {
            foreach (X509Certificate2 one in chain)
                one.Dispose();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        ec?.Dispose();
        rsa?.Dispose();
        certificate.Dispose();
    }

    internal byte[] Sign(byte[] data) => ec is not null
        ? ec.SignData(data, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation)
        : rsa!.SignData(data, HashAlgorithmName.SHA256, RSASignaturePadding.Pss);
}
