using System.Security.Cryptography;
using LicenseAgent.Protocol.Jose;

namespace LicenseServer.Keys;

/// <summary>One ES256 key of the server. Signing is serialised: the BCL promises nothing about one key on several
/// threads.</summary>
internal sealed class SigningKey : IDisposable
{
    private readonly ECDsa _key;
    private readonly Lock _gate = new();

    public SigningKey(string scope, ReadOnlySpan<byte> pkcs8)
    {
        Scope = scope;
        _key = ECDsa.Create();
        _key.ImportPkcs8PrivateKey(pkcs8, out _);
        Public = EcPublicJwk.From(_key);
        Kid = Public.Thumbprint().ToString();
    }

    public string Scope { get; }

    public EcPublicJwk Public { get; }

    /// <summary>RFC 7638 thumbprint, base64url.</summary>
    public string Kid { get; }

    /// <returns>64 bytes, r ‖ s.</returns>
    public byte[] Sign(ReadOnlySpan<byte> data)
    {
        lock (_gate) return Es256.Sign(_key, data);
    }

    public byte[] CreateJws(string typ, ReadOnlySpan<byte> payload) =>
        CompactJws.Create(new JwsHeader(Kid, typ), payload, Sign);

    public void Dispose() => _key.Dispose();
}
