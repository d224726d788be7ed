using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace LicensePki;

/// <summary>PEM files of the tree: certificates 0644, keys 0600, created with that mode and durable.</summary>
public static class PemFile
{
    /// <exception cref="PkiException">The file is missing, unreadable or holds no certificate.</exception>
    public static X509Certificate2 ReadCertificate(string path)
    {
        try
        {
            return X509Certificate2.CreateFromPem(File.ReadAllText(path));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new PkiException($"{path} cannot be read as a PEM certificate: {error.Message}", error);
        }
    }

    /// <exception cref="PkiException">The file is missing, unreadable or holds no EC key.</exception>
    public static ECDsa ReadKey(string path)
    {
        var key = ECDsa.Create();
        try
        {
            key.ImportFromPem(File.ReadAllText(path));
            return key;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException
            or CryptographicException or ArgumentException)
        {
            key.Dispose();
            throw new PkiException($"{path} cannot be read as an EC private key in PEM: {error.Message}", error);
        }
    }

    public static bool IsKeyOf(ECDsa key, X509Certificate2 certificate) =>
        certificate.PublicKey.ExportSubjectPublicKeyInfo().AsSpan().SequenceEqual(key.ExportSubjectPublicKeyInfo());

    internal static void WriteCertificate(string path, X509Certificate2 certificate) => DurableFile.Create(
        path, Encoding.ASCII.GetBytes(certificate.ExportCertificatePem() + "\n"), DurableFile.PublicMode);

    internal static void WriteKey(string path, string pem)
    {
        var bytes = Encoding.ASCII.GetBytes(pem);
        DurableFile.Create(path, bytes, DurableFile.KeyMode);
        CryptographicOperations.ZeroMemory(bytes);
    }
}
