using System.Security.Cryptography;
using LicenseAgent.Tpm.Esys;
using LicenseAgent.Tpm.Wire;

namespace LicenseAgent.Tpm;

/// <summary>The two private-key operations.</summary>
internal static class KeyUse
{
    public const int DigestSize = 32;
    public const int ModulusSize = 256;
    private const int CoordinateSize = 32;

    /// <summary>ECDSA P-256 over a SHA-256 digest: r‖s, each padded on the left to 32 bytes.</summary>
    public static byte[] Sign(TpmLink link, TpmSession session, uint key, ReadOnlySpan<byte> digest)
    {
        using var digestBlock = MuType.Digest.ToNative(Templates.Sized(digest));
        using var scheme = MuType.SigScheme.ToNative(Templates.SchemeEcdsaSha256);
        using var ticket = MuType.HashCheck.ToNative(Templates.NoHashCheck);
        var rc = EsysNative.Sign(
            link.Esys, key, session.For(Encrypt.Request), EsysNative.None, EsysNative.None, digestBlock.Pointer,
            scheme.Pointer, ticket.Pointer, out var signature);
        link.Check(rc, "Sign");
        using var output = new EsysOutput(signature);
        var reader = new TpmReader(output.ToWire(MuType.Signature));
        reader.Skip(2 + 2);
        var result = new byte[2 * CoordinateSize];
        PadLeft(reader.Sized(), result.AsSpan(0, CoordinateSize));
        PadLeft(reader.Sized(), result.AsSpan(CoordinateSize));
        return result;
    }

    /// <summary>
    /// RSA-OAEP (SHA-256, empty label). The plaintext is written to <paramref name="destination"/> and every copy on
    /// the way is overwritten; none is in managed memory.
    /// </summary>
    public static int Decrypt(
        TpmLink link, TpmSession session, uint key, ReadOnlySpan<byte> ciphertext, Span<byte> destination)
    {
        // A shorter one would be padded by nobody, and a longer one does not fit the structure.
        if (ciphertext.Length != ModulusSize)
            throw Undecryptable($"it has {ciphertext.Length} bytes and the key {ModulusSize}", 0);

        var rc = DecryptOnce(link, session, key, ciphertext, destination, out var count);
        if (IsRefusal(rc))
        {
            // An error carries no HMAC, libtpms says FAILURE to wrong padding, and a TPM in failure mode says it to
            // everything. "Never" takes the same answer twice from a key that opens something else in between.
            var opens = OpensTrial(link, session, key);
            var again = DecryptOnce(link, session, key, ciphertext, destination, out count);
            if (opens && IsRefusal(again)) throw Undecryptable(ResponseCodes.Describe(rc), rc);
            rc = again;
        }

        link.Check(rc, "RSA_Decrypt");
        return count >= 0 ? count : throw Undecryptable($"it holds more than {destination.Length} bytes", 0);
    }

    /// <summary>
    /// Whether the key opens what was encrypted to its public half this moment. Throws where it is not for us.
    /// </summary>
    public static bool OpensTrial(TpmLink link, TpmSession session, uint key)
    {
        var modulus = PublicArea.Read(link, key).RsaModulus();
        using var encryptor = RSA.Create(new RSAParameters { Modulus = modulus, Exponent = [1, 0, 1] });
        var plaintext = RandomNumberGenerator.GetBytes(DigestSize);
        var ciphertext = encryptor.Encrypt(plaintext, RSAEncryptionPadding.OaepSHA256);
        Span<byte> opened = stackalloc byte[DigestSize];
        link.Check(DecryptOnce(link, session, key, ciphertext, opened, out var count), "RSA_Decrypt");
        return count == DigestSize && opened.SequenceEqual(plaintext);
    }

    private static bool IsRefusal(uint rc) => rc == ResponseCodes.Failure || ResponseCodes.IsParameterRefused(rc);

    private static uint DecryptOnce(
        TpmLink link, TpmSession session, uint key, ReadOnlySpan<byte> ciphertext, Span<byte> destination,
        out int count)
    {
        count = 0;
        using var cipherBlock = MuType.PublicKeyRsa.ToNative(Templates.Sized(ciphertext));
        using var scheme = MuType.RsaDecrypt.ToNative(Templates.SchemeOaepSha256);
        using var label = MuType.Data.ToNative(Templates.EmptySized);
        var rc = EsysNative.RsaDecrypt(
            link.Esys, key, session.For(Encrypt.Both), EsysNative.None, EsysNative.None, cipherBlock.Pointer,
            scheme.Pointer, label.Pointer, out var message);
        if (rc != 0) return rc;
        using var output = new EsysOutput(message);
        try
        {
            count = output.CopyContent(MuType.PublicKeyRsa, destination);
            return rc;
        }
        finally
        {
            link.WipeLastResponse();
            NativeStack.Wipe();
        }
    }

    /// <summary>Writes a big-endian number that the TPM may have given without its leading zeros.</summary>
    public static void PadLeft(ReadOnlySpan<byte> number, Span<byte> destination)
    {
        if (number.Length > destination.Length) throw TpmFrame.Bad($"a number has {number.Length} bytes");
        destination.Clear();
        number.CopyTo(destination[^number.Length..]);
    }

    private static TpmException Undecryptable(string fact, uint rc) => new(
        TpmFailure.DecryptFailed,
        $"The wrapped secret does not open under this TPM's decryption key: {fact}. It was wrapped for another key or "
        + "damaged; the server has to send it again.",
        rc);
}
