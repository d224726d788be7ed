using System.Security.Cryptography;

namespace LicenseAgent.Protocol.Jose;

/// <summary>A256GCM (RFC 7518 §5.3): 96-bit nonce, 128-bit tag.</summary>
internal static class GcmTag
{
    public const int Length = 16;
    public const int NonceLength = 12;

    /// <summary>False, with <paramref name="plaintext"/> cleared, when the tag is wrong.</summary>
    public static bool TryDecrypt(
        AesGcm gcm, ReadOnlySpan<byte> iv, ReadOnlySpan<byte> ciphertext, ReadOnlySpan<byte> tag, Span<byte> plaintext,
        ReadOnlySpan<byte> aad)
    {
        try
        {
            gcm.Decrypt(iv, ciphertext, tag, plaintext, aad);
            return true;
        }
        catch (AuthenticationTagMismatchException)
        {
            // The BCL has no other way to say "wrong tag".
            plaintext.Clear();
            return false;
        }
    }
}
