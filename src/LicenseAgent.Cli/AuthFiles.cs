using System.Security.Cryptography;
using System.Text;
using LicenseAgent.Client;

namespace LicenseAgent.Cli;

/// <summary><c>--auth-cert</c> and <c>--auth-key</c>: an operator's certificate and key from files.</summary>
internal static class AuthFiles
{
    // A chain of four certificates and a key have 15 KiB.
    private const int BytesMax = 64 * 1024;

    /// <returns><see langword="null"/> where no certificate is given. It lives as long as the process.</returns>
    public static OperatorCredentials? Read(string? certFile, string? keyFile, CliContext context)
    {
        if (certFile is null)
            return keyFile is null ? null : throw new UsageException("--auth-key needs --auth-cert.");
        string holder = keyFile ?? certFile;
        char[] certificates = Text(certFile);
        char[] key = keyFile is null ? certificates : Text(keyFile);
        try
        {
            RequireKey(key, holder, keyFile is null);
            if (InputFile.IsOpenToOthers(holder))
            {
                string mode = Convert.ToString((int)File.GetUnixFileMode(holder), 8);
                context.Screen.Warn($"{holder} has mode 0{mode}: others may have this key. chmod 600 it.");
            }
            return OperatorCredentials.FromPem(certificates, key);
        }
        catch (CryptographicException e)
        {
            throw new UsageException($"{certFile} and the key in {holder} cannot be used: {e.Message}.");
        }
        finally
        {
            Array.Clear(key);
        }
    }

    private static char[] Text(string file)
    {
        byte[] bytes = InputFile.Read(file, BytesMax);
        try
        {
            return Encoding.Latin1.GetChars(bytes);
        }
        finally
        {
            Array.Clear(bytes);
        }
    }

    private static void RequireKey(ReadOnlySpan<char> text, string file, bool sameFile)
    {
        if (text.Contains("ENCRYPTED", StringComparison.Ordinal))
        {
            throw new UsageException(
                $"The key in {file} is encrypted with a passphrase, which is not asked for here. Decrypt it into a "
                + $"file of your own: (umask 077; openssl pkey -in {file} -out FILE); then --auth-key FILE.");
        }
        if (!text.Contains("PRIVATE KEY-----", StringComparison.Ordinal))
        {
            throw new UsageException(
                $"{file} holds no private key in PEM." + (sameFile ? " Name its file with --auth-key." : ""));
        }
    }
}
