using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace LicenseAgent.Daemon.Config;

/// <summary>A file that the configuration names: its content, or why there is none.</summary>
internal readonly record struct NamedFile(byte[]? Content, string? Wrong);

/// <summary>
/// The PEM files of <c>[server]</c>, read and tried while the configuration is: a till must not find out in the night
/// of its first rotation that a key does not belong to its certificate.
/// </summary>
internal sealed class TlsFileValues(ConfigValues values, PathValues paths, Func<string, NamedFile> read)
{
    private const string Section = "server";

    /// <summary>Of <c>ca_cert</c>: PEM of one or more authorities.</summary>
    public byte[]? Authority()
    {
        byte[]? pem = Read("ca_cert");
        return pem is not null && Wrong(() => HasCertificate(pem)) is { } wrong ? Refused("ca_cert", wrong) : pem;
    }

    /// <summary>Of <c>client_cert</c> and <c>client_key</c>: one PEM text with the chain and the key to it.</summary>
    public byte[]? Client()
    {
        byte[]? certificate = Read("client_cert");
        byte[]? key = Read("client_key");
        bool both = values.Given(Section, "client_cert") && values.Given(Section, "client_key");
        if (!both && (certificate ?? key) is not null)
        {
            return Refused(certificate is null ? "client_key" : "client_cert",
                "client_cert and client_key belong together; give both or none");
        }

        if (certificate is null || key is null)
            return null;
        byte[] pem = [.. certificate, (byte)'\n', .. key];
        return Wrong(() => HasKeyOfItsCertificate(pem)) is { } wrong ? Refused("client_cert", wrong) : pem;
    }

    private byte[]? Read(string key)
    {
        if (paths.Optional(Section, key) is not { } path)
            return null;
        var file = read(path);
        return file.Content ?? Refused(key, $"{path} cannot be read ({file.Wrong}); put the file there");
    }

    private byte[]? Refused(string key, string message)
    {
        values.Refuse(Section, key, message);
        return null;
    }

    private static string? Wrong(Func<string?> attempt)
    {
        try
        {
            return attempt();
        }
        catch (Exception error) when (error is CryptographicException or ArgumentException)
        {
            return $"the PEM content cannot be used ({error.Message}); put a matching certificate and key there";
        }
    }

    private static string? HasCertificate(byte[] pem)
    {
        var certificates = new X509Certificate2Collection();
        certificates.ImportFromPem(Encoding.ASCII.GetString(pem));
        return certificates.Count > 0 ? null : "the file holds no certificate in PEM; put the authority's there";
    }

    private static string? HasKeyOfItsCertificate(byte[] pem)
    {
        char[] text = Encoding.ASCII.GetChars(pem);
        try
        {
            X509Certificate2.CreateFromPem(text, text).Dispose();
            return null;
        }
        finally
        {
            Array.Clear(text);
        }
    }
}
