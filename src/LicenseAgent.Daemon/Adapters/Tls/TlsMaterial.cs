using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using LicenseAgent.Daemon.Ports;

namespace LicenseAgent.Daemon.Adapters.Tls;

/// <summary>Certificates and keys of <see cref="UpstreamSettings"/> in the form the TLS layer wants.</summary>
internal static class TlsMaterial
{
    /// <summary>One certificate in DER, or one or more in PEM.</summary>
    /// <exception cref="NoContactException"><c>ca_certificate</c>.</exception>
    public static X509Certificate2Collection Authorities(ReadOnlySpan<byte> content)
    {
        try
        {
            if (!content.StartsWith("-----"u8))
                return [X509CertificateLoader.LoadCertificate(content)];
            var authorities = new X509Certificate2Collection();
            authorities.ImportFromPem(Encoding.ASCII.GetString(content));
            return authorities;
        }
        catch (CryptographicException error)
        {
            throw new NoContactException(
                "ca_certificate", "The certificate of the license server's authority cannot be read; put the right one "
                + $"in place as server.ca_cert, or enrol again ({error.Message}).", error);
        }
    }

    /// <summary>The agent's key and chain: the leaf first, what it was signed by after it.</summary>
    /// <exception cref="NoContactException"><c>client_certificate</c>.</exception>
    public static SslStreamCertificateContext Client(ReadOnlySpan<byte> pem)
    {
        char[] text = new char[Encoding.ASCII.GetCharCount(pem)];
        Encoding.ASCII.GetChars(pem, text);
        try
        {
            var leaf = X509Certificate2.CreateFromPem(text, text);
            var chain = new X509Certificate2Collection();
            chain.ImportFromPem(text);
            chain.RemoveAt(0);
            return SslStreamCertificateContext.Create(leaf, chain, offline: true);
        }
        catch (Exception error) when (error is CryptographicException or ArgumentException)
        {
            throw new NoContactException(
                "client_certificate", "The agent's TLS certificate and key cannot be used; put a matching pair in "
                + $"place or enrol again ({error.Message}).", error);
        }
        finally
        {
            // The text holds the private key.
            Array.Clear(text);
        }
    }
}
