using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Serialization;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Daemon.Adapters.Files;

/// <summary><c>fallback_encrypted_storage</c>: two PKCS#8 keys under AES-256-GCM.</summary>
internal sealed record FallbackStorage(int Format, string Salt, int Iterations, string Iv, string Ct, string Tag);

[JsonSerializable(typeof(FallbackStorage))]
internal sealed partial class FallbackJson : JsonSerializerContext
{
    public static FallbackJson Strict { get; } = new(StrictJson.RefuseUnknown());
}

/// <summary>
/// Software keys on disk. The key that opens them is PBKDF2-HMAC-SHA256 over a file that is kept apart, so that a copy
/// of this disk alone opens nothing. Deriving takes a good part of a second and runs on the pool; private halves are in
/// memory from <see cref="OpenAsync"/> to <see cref="Close"/>.
/// </summary>
/// <param name="name">Of the storage, in <paramref name="files"/>.</param>
internal sealed class FallbackKeys(IStateFiles files, string name, string keyFile) : IFallbackKeys, IDisposable
{
    private const int Format = 1;
    private const int Iterations = 600_000;

    // A storage that somebody wrote with a huge number must not stop the daemon for hours.
    private const int IterationsMax = 10_000_000;
    private const int SaltBytes = 16, IvBytes = 12, TagBytes = 16, KeyBytes = 32;
    private const int KeyFileBytesMin = 16, KeyFileBytesMax = 4096;

    private ECDsa? _signing;
    private RSA? _decryption;

    public async Task<AgentKeyPair> OpenAsync(string agentId, bool anew, CancellationToken cancel)
    {
        byte[]? stored = anew ? null : await files.ReadAsync(name, cancel);
        Close();
        if (stored is not null)
        {
            await Task.Run(() => Unlock(stored, agentId), cancel);
            return Public();
        }

        byte[] storage = await Task.Run(() => Make(agentId), cancel);
        await files.ReplaceAsync(name, storage, cancel);
        return Public();
    }

    public Task<byte[]> SignAsync(ReadOnlyMemory<byte> digest, CancellationToken cancel) => Task.FromResult(
        Opened(_signing).SignHash(digest.Span, DSASignatureFormat.IeeeP1363FixedFieldConcatenation));

    public Task<int> UnwrapAsync(ReadOnlyMemory<byte> cipher, Memory<byte> plain, CancellationToken cancel)
    {
        try
        {
            return Task.FromResult(
                Opened(_decryption).Decrypt(cipher.Span, plain.Span, RSAEncryptionPadding.OaepSHA256));
        }
        catch (CryptographicException)
        {
            // Not for this key, or longer than any secret: the caller gives the version back.
            return Task.FromResult(-1);
        }
    }

    public void Close()
    {
        _signing?.Dispose();
        _decryption?.Dispose();
        (_signing, _decryption) = (null, null);
    }

    public void Dispose() => Close();

    private static T Opened<T>(T? key)
        where T : class => key ?? throw new Core.InvariantBroken("A software key is used before it was opened.");

    private AgentKeyPair Public() => new(
        EcPublicJwk.From(Opened(_signing)),
        RsaPublicJwk.FromModulus(Opened(_decryption).ExportParameters(includePrivateParameters: false).Modulus));

    private byte[] Make(string agentId)
    {
        _signing = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        _decryption = RSA.Create(2048);
        byte[] ec = _signing.ExportPkcs8PrivateKey();
        byte[] rsa = _decryption.ExportPkcs8PrivateKey();
        byte[] plain = GC.AllocateArray<byte>(4 + ec.Length + rsa.Length, pinned: true);
        byte[] salt = RandomNumberGenerator.GetBytes(SaltBytes);
        byte[] key = Derive(salt, Iterations);
        try
        {
            BinaryPrimitives.WriteInt32BigEndian(plain, ec.Length);
            ec.CopyTo(plain, 4);
            rsa.CopyTo(plain, 4 + ec.Length);
            byte[] iv = RandomNumberGenerator.GetBytes(IvBytes);
            byte[] cipher = new byte[plain.Length];
            byte[] tag = new byte[TagBytes];
            using AesGcm gcm = new(key, TagBytes);
            gcm.Encrypt(iv, plain, cipher, tag, Associated(agentId));
            FallbackStorage storage = new(
                Format, Base64UrlText.Encode(salt), Iterations, Base64UrlText.Encode(iv), Base64UrlText.Encode(cipher),
                Base64UrlText.Encode(tag));
            return StrictJson.Write(storage, FallbackJson.Strict.FallbackStorage);
        }
        finally
        {
            Wipe(ec, rsa, plain, key);
        }
    }

    private void Unlock(byte[] stored, string agentId)
    {
        FallbackStorage storage = Parse(stored);
        byte[] key = Derive(Bytes(storage.Salt), storage.Iterations);
        byte[] cipher = Bytes(storage.Ct);
        byte[] plain = GC.AllocateArray<byte>(cipher.Length, pinned: true);
        try
        {
            using AesGcm gcm = new(key, TagBytes);
            gcm.Decrypt(Bytes(storage.Iv), cipher, Bytes(storage.Tag), plain, Associated(agentId));
            int length = BinaryPrimitives.ReadInt32BigEndian(plain);
            _signing = ECDsa.Create();
            _signing.ImportPkcs8PrivateKey(plain.AsSpan(4, length), out _);
            _decryption = RSA.Create();
            _decryption.ImportPkcs8PrivateKey(plain.AsSpan(4 + length), out _);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            Close();
            throw Unusable($"{name} does not open under {keyFile}: another key file, another agent id, or a damaged "
                + "storage. Put back the key file it was made with.", e);
        }
        finally
        {
            Wipe(plain, key);
        }
    }

    private FallbackStorage Parse(byte[] stored)
    {
        try
        {
            FallbackStorage storage = StrictJson.Read(stored, FallbackJson.Strict.FallbackStorage);
            bool good = storage.Format == Format && storage.Iterations is >= Iterations and <= IterationsMax
                && Bytes(storage.Iv).Length == IvBytes && Bytes(storage.Tag).Length == TagBytes
                && Bytes(storage.Ct).Length > 4;
            return good ? storage : throw Unusable($"{name} is not a storage of this version.", null);
        }
        catch (ProtocolException e)
        {
            throw Unusable($"{name} is damaged ({e.Code}).", e);
        }
    }

    private byte[] Derive(byte[] salt, int iterations)
    {
        byte[] material = ReadKeyFile();
        try
        {
            byte[] key = GC.AllocateArray<byte>(KeyBytes, pinned: true);
            Rfc2898DeriveBytes.Pbkdf2(material, salt, key, iterations, HashAlgorithmName.SHA256);
            return key;
        }
        finally
        {
            Wipe(material);
        }
    }

    private byte[] ReadKeyFile()
    {
        try
        {
            using FileStream file = File.OpenRead(keyFile);
            byte[] material = GC.AllocateArray<byte>(KeyFileBytesMax + 1, pinned: true);
            int count = file.ReadAtLeast(material, material.Length, throwOnEndOfStream: false);
            byte[] exact = GC.AllocateArray<byte>(count, pinned: true);
            material.AsSpan(0, count).CopyTo(exact);
            Wipe(material);
            return count is >= KeyFileBytesMin and <= KeyFileBytesMax
                ? exact
                : throw Unusable(
                    $"{keyFile} has {count} bytes; a key file has {KeyFileBytesMin} to {KeyFileBytesMax}.", null);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Unusable($"{keyFile} cannot be read ({e.Message}). Mount or restore it.", e);
        }
    }

    private static byte[] Associated(string agentId) =>
        Encoding.ASCII.GetBytes($"license-agent/fallback/v1|{agentId}");

    private byte[] Bytes(string text) =>
        Base64UrlText.TryDecode(text, out byte[] bytes) ? bytes : throw Unusable($"{name} is damaged.", null);

    private static StorageException Unusable(string message, Exception? inner) =>
        new("fallback_unusable", message, inner);

    private static void Wipe(params ReadOnlySpan<byte[]> arrays)
    {
        foreach (byte[] array in arrays)
        {
            CryptographicOperations.ZeroMemory(array);
        }
    }
}
