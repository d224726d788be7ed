using System.Security.Cryptography;

namespace LicenseAgent.Daemon.Config;

/// <summary>
/// <c>sha256:</c> and the padded standard base64 of SHA-256 over a leaf's SubjectPublicKeyInfo (DER).
/// </summary>
internal static class Pin
{
    private const string Prefix = "sha256:";

    public static bool IsValid(string text)
    {
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes + 1];
        return text.StartsWith(Prefix, StringComparison.Ordinal)
            && Convert.TryFromBase64String(text[Prefix.Length..], digest, out int length)
            && length == SHA256.HashSizeInBytes
            && text == Prefix + Convert.ToBase64String(digest[..length]);
    }

    public static string Of(ReadOnlySpan<byte> subjectPublicKeyInfo) =>
        Prefix + Convert.ToBase64String(SHA256.HashData(subjectPublicKeyInfo));
}
