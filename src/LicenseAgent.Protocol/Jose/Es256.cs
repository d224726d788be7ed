using System.Collections.Concurrent;
using System.Security.Cryptography;

namespace LicenseAgent.Protocol.Jose;

/// <summary>
/// Verifies an ES256 signature (RFC 7518 §3.4) of 64 bytes, r ‖ s; false for anything wrong with it or with the key.
/// Injected wherever signatures are checked: it is the costliest step of a validation.
/// </summary>
public delegate bool Es256Verify(EcPublicJwk key, ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature64);

/// <summary>Signs with ES256; returns 64 bytes, r ‖ s.</summary>
public delegate byte[] Es256Sign(ReadOnlySpan<byte> data);

/// <summary>ES256 with the BCL.</summary>
public static class Es256
{
    /// <summary>Length of a signature, in bytes.</summary>
    public const int SignatureLength = 64;

    // Importing a key costs as much as a verification. When full, all are forgotten: they are public, and import again.
    private const int CachedKeysMax = 1024;

    private static readonly ConcurrentDictionary<EcPublicJwk, ECDsa> Keys = new();

    /// <summary>Verifies with the BCL; imported keys are kept, at most 1024. Safe on any thread.</summary>
    public static Es256Verify Verify { get; } = VerifyWithBcl;

    /// <summary>Signs with a key of the BCL.</summary>
    public static byte[] Sign(ECDsa key, ReadOnlySpan<byte> data)
    {
        byte[] signature = new byte[SignatureLength];
        key.SignData(data, signature, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
        return signature;
    }

    /// <summary>
    /// Joins r and s, each big-endian and at most 32 bytes, to 64 bytes. A TPM leaves out leading zeros, so either may
    /// be shorter.
    /// </summary>
    public static byte[] Join(ReadOnlySpan<byte> r, ReadOnlySpan<byte> s)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(r.Length, 32);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(s.Length, 32);
        byte[] signature = new byte[SignatureLength];
        r.CopyTo(signature.AsSpan(32 - r.Length));
        s.CopyTo(signature.AsSpan(64 - s.Length));
        return signature;
    }

    private static bool VerifyWithBcl(EcPublicJwk key, ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature64)
    {
        if (signature64.Length != SignatureLength || Imported(key) is not { } imported)
            return false;

        // The BCL promises nothing about one instance on several threads.
        lock (imported)
        {
            return imported.VerifyData(
                data, signature64, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
        }
    }

    /// <summary>Null when the coordinates are no point of the curve.</summary>
    private static ECDsa? Imported(EcPublicJwk key)
    {
        if (Keys.TryGetValue(key, out ECDsa? known))
            return known;
        ECDsa imported;
        try
        {
            imported = key.ToEcdsa();
        }
        catch (ProtocolException)
        {
            return null;
        }

        // Forgotten keys may still be verifying elsewhere, so they are left to their finalizers.
        if (Keys.Count >= CachedKeysMax)
            Keys.Clear();
        return Keys.GetOrAdd(key, imported);
    }
}
