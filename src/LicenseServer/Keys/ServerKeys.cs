using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using LicenseAgent.Protocol.Encoding;

namespace LicenseServer.Keys;

/// <summary>
/// The server's keys in memory. Secret(agent, n) = HKDF-SHA256(base key of the epoch,
/// "license-agent/secret/&lt;agent_id&gt;/&lt;n&gt;"): asking twice for the same version gives the same secret, and
/// nothing of it has to be stored.
/// </summary>
internal sealed class ServerKeys : IDisposable
{
    public const int SecretLength = 32;

    private readonly SortedDictionary<int, byte[]> _baseKeys = [];
    private readonly List<SigningKey> _replaced = [];
    private volatile List<SigningKey> _signingKeys;

    /// <exception cref="KeyFileException">A key is malformed, double or missing.</exception>
    public ServerKeys(KeyFile file, string path)
    {
        foreach (var entry in file.BaseKeys)
        {
            if (!Base64UrlText.TryDecode(entry.Key, out var key) || key.Length != 32
                || !_baseKeys.TryAdd(entry.Epoch, key))
            {
                throw new KeyFileException($"{path}: base key of epoch {entry.Epoch} is malformed or double");
            }
        }

        if (_baseKeys.Count == 0) throw new KeyFileException($"{path} holds no base key");
        _signingKeys = ReadSigningKeys(file, path);
    }

    /// <summary>The epoch in which new versions are made.</summary>
    public int CurrentEpoch => _baseKeys.Keys.Last();

    /// <summary>Newest first: the order in which an unknown version is looked for.</summary>
    public IEnumerable<int> Epochs => _baseKeys.Keys.Reverse();

    /// <summary>In the order of the file: of each scope the one that signs, then one that is announced.</summary>
    public IReadOnlyList<SigningKey> SigningKeys => _signingKeys;

    /// <summary>The keys that sign now.</summary>
    public IEnumerable<SigningKey> Signing => KeyFile.Scopes.Select(Of);

    public SigningKey Keyset => Of("keyset");

    public SigningKey Response => Of("response");

    public SigningKey License => Of("license");

    /// <summary>Derives into <paramref name="secret"/>, 32 bytes; the caller wipes them.</summary>
    /// <exception cref="KeyFileException">The epoch's base key is not here.</exception>
    public void DeriveSecret(string agentId, long version, int epoch, Span<byte> secret)
    {
        if (!_baseKeys.TryGetValue(epoch, out var baseKey))
            throw new KeyFileException($"the base key of epoch {epoch} is missing; put the server's key file back");
        var purpose = string.Create(CultureInfo.InvariantCulture, $"license-agent/secret/{agentId}/{version}");
        HKDF.DeriveKey(HashAlgorithmName.SHA256, baseKey, secret[..SecretLength], [], Encoding.ASCII.GetBytes(purpose));
    }

    /// <summary>Takes over the signing keys of a file that was replaced. A call that holds one of the old keys ends
    /// with it; called by one thread at a time.</summary>
    public void TakeOver(KeyFile file, string path)
    {
        var next = ReadSigningKeys(file, path);
        _replaced.AddRange(_signingKeys);
        _signingKeys = next;
    }

    public void Dispose()
    {
        foreach (var key in _signingKeys.Concat(_replaced)) key.Dispose();
        foreach (var key in _baseKeys.Values) CryptographicOperations.ZeroMemory(key);
    }

    private SigningKey Of(string scope) => _signingKeys.Find(key => key.Scope == scope)!;

    private static List<SigningKey> ReadSigningKeys(KeyFile file, string path)
    {
        var keys = file.SigningKeys.Select(entry => ReadSigningKey(entry, path)).ToList();
        foreach (var scope in KeyFile.Scopes)
        {
            if (!keys.Exists(key => key.Scope == scope))
                throw new KeyFileException($"{path} holds no signing key of scope {scope}");
        }

        return keys;
    }

    private static SigningKey ReadSigningKey(SigningKeyEntry entry, string path)
    {
        if (!KeyFile.Scopes.Contains(entry.Scope) || !Base64UrlText.TryDecode(entry.Pkcs8, out var pkcs8))
            throw new KeyFileException($"{path}: a signing key of scope '{entry.Scope}' is malformed");
        try
        {
            return new SigningKey(entry.Scope, pkcs8);
        }
        catch (CryptographicException error)
        {
            throw new KeyFileException($"{path}: the signing key of scope {entry.Scope} is malformed", error);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(pkcs8);
        }
    }
}
