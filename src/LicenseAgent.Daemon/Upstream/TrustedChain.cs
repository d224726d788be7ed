using LicenseAgent.Core;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Keysets;

namespace LicenseAgent.Daemon.Upstream;

/// <summary>The server's keysets from the pinned one to the newest known, each verified. Immutable.</summary>
internal sealed class TrustedChain
{
    private readonly IReadOnlyList<SignedKeyset> _links;

    private TrustedChain(IReadOnlyList<SignedKeyset> links) => _links = links;

    public Keyset Current => _links[^1].Keyset;

    /// <summary>What the state names.</summary>
    public FileReference Reference => new(Current.Version, _links[^1].PayloadSha256);

    /// <exception cref="ProtocolException">It does not begin with the pinned keyset, or a link is wrong.</exception>
    public static TrustedChain FromPin(ReadOnlySpan<byte> json, KeysetPin pin, Es256Verify verify)
    {
        IReadOnlyList<SignedKeyset> links = KeysetChain.Read(json);
        KeysetChain.VerifyFromPin(links, pin, verify);
        return new TrustedChain(links);
    }

    /// <summary>This chain and the links after it.</summary>
    /// <exception cref="ProtocolException">A link is wrong.</exception>
    public TrustedChain Append(ReadOnlySpan<byte> json, Es256Verify verify)
    {
        IReadOnlyList<SignedKeyset> more = KeysetChain.Read(json);
        KeysetChain.VerifyAfter(more, Current, verify);
        return more.Count == 0 ? this : new TrustedChain([.. _links, .. more]);
    }

    public byte[] Write() => KeysetChain.Write(_links);

    /// <summary>Whether the chain holds exactly this keyset.</summary>
    public bool Holds(FileReference keyset) =>
        _links.Any(l => l.Keyset.Version == keyset.Version && l.PayloadSha256 == keyset.Sha256);

    /// <summary>A key that any keyset of the chain has.</summary>
    public EcPublicJwk? FindEver(string kid, string scope) =>
        Enumerable.Reverse(_links).Select(l => l.Keyset.Find(kid, scope)).FirstOrDefault(key => key is not null);
}
