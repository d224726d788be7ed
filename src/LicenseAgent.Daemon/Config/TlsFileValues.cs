using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using LicenseAgent.Daemon.LocalApi.SignIn;

namespace LicenseAgent.Daemon.Config;

/// <summary>A file that the configuration names: its content, or why there is none.</summary>
internal readonly record struct NamedFile(byte[]? Content, string? Wrong);

/// <summary>
/// The certificates and keys that are named, read and tried while the configuration is: a till must not find out in the
/// night of its first rotation that a key does not belong to its certificate.
/// </summary>
internal sealed class TlsFileValues(ConfigValues values, PathValues paths, Func<string, NamedFile> read)
{
    private const string Server = "server", Management = "management";

    /// <summary>Of <c>server.ca_cert</c>: PEM of one or more authorities.</summary>
    public byte[]? Authority()
    {
        byte[]? pem = Read(Server, "ca_cert");
        return pem is not null && Wrong(() => HasCertificate(pem)) is { } wrong
            ? Refused(Server, "ca_cert", wrong)
            : pem;
    }

    /// <summary>Of <c>client_cert</c> and <c>client_key</c>: one PEM text with the chain and the key to it.</summary>
    public byte[]? Client() => Pair(Server, "client_cert", "client_key");

    /// <summary>Of <c>https_cert</c> and <c>https_key</c>, in the same form.</summary>
    public byte[]? Https() => Pair(Management, "https_cert", "https_key");

    /// <summary>Of <c>management.ca_cert</c> and <c>management.crl</c>, which are tried together.</summary>
    public (byte[]? CaPem, byte[]? Crl) Operators()
    {
        byte[]? ca = Read(Management, "ca_cert");
        byte[]? crl = Read(Management, "crl");
        if (ca is null)
        {
            if (crl is not null && !values.Given(Management, "ca_cert"))
                Refused(Management, "crl", "crl needs ca_cert; give the authority whose list it is");
            return (null, null);
        }
        if (Wrong(() => HasAuthority(ca, null)) is { } wrong)
            return (Refused(Management, "ca_cert", wrong), null);
        return crl is not null && Wrong(() => HasAuthority(ca, crl)) is { } wrongList
            ? (ca, Refused(Management, "crl", wrongList))
            : (ca, crl);
    }

    private byte[]? Pair(string section, string certificateKey, string keyKey)
    {
        byte[]? certificate = Read(section, certificateKey);
        byte[]? key = Read(section, keyKey);
        bool both = values.Given(section, certificateKey) && values.Given(section, keyKey);
        if (!both && (certificate ?? key) is not null)
        {
            return Refused(section, certificate is null ? keyKey : certificateKey,
                $"{certificateKey} and {keyKey} belong together; give both or none");
        }

        if (certificate is null || key is null)
            return null;
        byte[] pem = [.. certificate, (byte)'\n', .. key];
        return Wrong(() => HasKeyOfItsCertificate(pem)) is { } wrong ? Refused(section, certificateKey, wrong) : pem;
    }

    /// <summary>Of <c>tpm.fallback_key_file</c>: there, and long enough to be worth deriving a key from.</summary>
    public void FallbackKey(string path)
    {
        var file = read(path);
        if (file.Content is null)
        {
            values.Refuse("tpm", "fallback_key_file", $"{path} cannot be read ({file.Wrong}); put the file there");
        }
        else if (file.Content.Length is < 16 or > 4096)
        {
            values.Refuse("tpm", "fallback_key_file", $"{path} has {file.Content.Length} bytes; a key file has 16 to "
                + "4096, best 32 random ones: head -c 32 /dev/urandom");
        }

        CryptographicOperations.ZeroMemory(file.Content);
    }

    private byte[]? Read(string section, string key)
    {
        if (paths.Optional(section, key) is not { } path)
            return null;
        var file = read(path);
        return file.Content ?? Refused(section, key, $"{path} cannot be read ({file.Wrong}); put the file there");
    }

    private byte[]? Refused(string section, string key, string message)
    {
        values.Refuse(section, key, message);
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
            return $"the content cannot be used ({error.Message}); put the right file there";
        }
    }

    private static string? HasCertificate(byte[] pem)
    {
        var certificates = new X509Certificate2Collection();
        certificates.ImportFromPem(Encoding.ASCII.GetString(pem));
        return certificates.Count > 0 ? null : "the file holds no certificate in PEM; put the authority's there";
    }

    private static string? HasAuthority(byte[] ca, byte[]? crl)
    {
        OperatorAuthority.Read(ca, crl);
        return null;
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
