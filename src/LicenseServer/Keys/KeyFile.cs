using System.Security.Cryptography;
using System.Text.Json.Serialization;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Json;
using LicensePki;

namespace LicenseServer.Keys;

/// <summary>The base key of one epoch, 32 bytes, base64url: every secret of that epoch is derived from it.</summary>
internal sealed record BaseKeyEntry(int Epoch, string Key);

/// <summary>A signing key (PKCS #8, base64url) and what it signs: <c>keyset</c>, <c>response</c> or
/// <c>license</c>. The first of a scope signs; one after it is announced and waits for its turn.</summary>
internal sealed record SigningKeyEntry(string Scope, string Pkcs8);

/// <summary>
/// Everything that must stay secret at the server, in one file, mode 0600. Whoever has it can open and mint every
/// token; without it the database opens nothing.
/// </summary>
internal sealed record KeyFile(
    int Format, IReadOnlyList<BaseKeyEntry> BaseKeys, IReadOnlyList<SigningKeyEntry> SigningKeys)
{
    public static readonly IReadOnlyList<string> Scopes = ["keyset", "response", "license"];

    private const UnixFileMode OthersAccess =
        UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    /// <exception cref="KeyFileException">Missing, readable by others, malformed.</exception>
    public static KeyFile Read(string path)
    {
        try
        {
            if ((File.GetUnixFileMode(path) & OthersAccess) != 0)
                throw new KeyFileException($"{path} is accessible to others than its owner; chmod 600 it");
            var bytes = File.ReadAllBytes(path);
            var file = StrictJson.Read(bytes, KeyFileJsonContext.Wire.KeyFile);
            CryptographicOperations.ZeroMemory(bytes);
            return file.Format == 1
                ? file
                : throw new KeyFileException($"{path} has format {file.Format}, not 1; use the newer program");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ProtocolException)
        {
            throw new KeyFileException($"the key file {path} cannot be read: {error.Message}", error);
        }
    }

    /// <summary>Writes new keys; false when the file was there already (another process of this server was
    /// first).</summary>
    public static bool TryCreate(string path, FillRandom random)
    {
        var baseKey = new byte[32];
        random(baseKey);
        var file = new KeyFile(
            1,
            [new BaseKeyEntry(1, Base64UrlText.Encode(baseKey))],
            [.. Scopes.Select(scope => NewKey(scope))]);
        CryptographicOperations.ZeroMemory(baseKey);
        var bytes = StrictJson.Write(file, KeyFileJsonContext.Wire.KeyFile);
        try
        {
            DurableFile.Create(path, bytes, DurableFile.KeyMode);
            return true;
        }
        catch (IOException) when (File.Exists(path))
        {
            return false;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(bytes);
        }
    }

    /// <summary>SHA-256 of the file as it is now: whether it was replaced.</summary>
    /// <exception cref="KeyFileException">It cannot be read.</exception>
    public static Digest32 HashOf(string path)
    {
        try
        {
            var bytes = File.ReadAllBytes(path);
            var hash = Digest32.Sha256(bytes);
            CryptographicOperations.ZeroMemory(bytes);
            return hash;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new KeyFileException($"the key file {path} cannot be read: {error.Message}", error);
        }
    }

    /// <summary>Replaces the file.</summary>
    /// <exception cref="KeyFileException">It cannot be written, as where it is a mounted secret.</exception>
    public static void Write(string path, KeyFile file)
    {
        var bytes = StrictJson.Write(file, KeyFileJsonContext.Wire.KeyFile);
        try
        {
            DurableFile.Replace(path, bytes, DurableFile.KeyMode);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new KeyFileException(
                $"the key file {path} cannot be replaced ({error.Message}); rotate where it is kept", error);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(bytes);
        }
    }

    /// <summary>A new signing key.</summary>
    public static SigningKeyEntry NewKey(string scope)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return new SigningKeyEntry(scope, Base64UrlText.Encode(key.ExportPkcs8PrivateKey()));
    }
}

/// <summary>The key file cannot be used; the message names the fact and the remedy.</summary>
internal sealed class KeyFileException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>Fills a span with unpredictable bytes.</summary>
public delegate void FillRandom(Span<byte> bytes);

[JsonSerializable(typeof(KeyFile))]
internal sealed partial class KeyFileJsonContext : JsonSerializerContext
{
    public static KeyFileJsonContext Wire { get; } = new(StrictJson.RefuseUnknown());
}
