using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Json;

namespace LicenseAgent.Protocol.Keysets;

/// <summary>
/// What an agent is told at enrolment: which keyset to begin with, by the SHA-256 of its payload's bytes.
/// </summary>
public sealed record KeysetPin(long Version, Digest32 Sha256);

/// <summary>
/// The chain of keysets. Each is signed by a key of the one before, which carries trust forward, and by one of its own,
/// which proves that its maker holds it. The first is trusted because its hash is pinned.
/// </summary>
public static class KeysetChain
{
    /// <summary>Most keysets of one answer.</summary>
    public const int MaxLength = 1000;

    /// <summary>Accepts the pinned keyset.</summary>
    /// <exception cref="ProtocolException"><c>keyset_pin</c>: not that one; <c>keyset_signature</c>.</exception>
    public static Keyset VerifyPinned(SignedKeyset signed, KeysetPin pin, Es256Verify verify)
    {
        if (signed.Keyset.Version != pin.Version || !signed.PayloadSha256.FixedTimeEquals(pin.Sha256))
            throw new ProtocolException("keyset_pin");
        return VerifyOwn(signed, verify);
    }

    /// <summary>Accepts the keyset after <paramref name="previous"/>.</summary>
    /// <exception cref="ProtocolException">
    /// <c>keyset_version</c>: not the next one; <c>keyset_signature</c>.
    /// </exception>
    public static Keyset VerifyNext(SignedKeyset signed, Keyset previous, Es256Verify verify)
    {
        if (signed.Keyset.Version != previous.Version + 1)
            throw new ProtocolException("keyset_version");
        return signed.IsSignedByOneOf(previous, verify)
            ? VerifyOwn(signed, verify)
            : throw new ProtocolException("keyset_signature");
    }

    /// <summary>Reads the array that <c>GET /api/v1/keyset?after=k</c> gives, oldest first, nothing verified.</summary>
    /// <exception cref="ProtocolException">
    /// <c>json_… keyset_chain</c> (too many), or as <see cref="SignedKeyset.Read"/>.
    /// </exception>
    public static IReadOnlyList<SignedKeyset> Read(ReadOnlySpan<byte> json)
    {
        IReadOnlyList<GeneralJws> chain = StrictJson.Read(json, KeysetsJson.Strict.IReadOnlyListGeneralJws);
        if (chain.Count > MaxLength || chain.Any(jws => jws is null))
            throw new ProtocolException("keyset_chain");
        return [.. chain.Select(SignedKeyset.Parse)];
    }

    /// <summary>Writes that array.</summary>
    public static byte[] Write(IEnumerable<SignedKeyset> chain) =>
        StrictJson.Write([.. chain.Select(signed => signed.Jws)], KeysetsJson.Strict.IReadOnlyListGeneralJws);

    /// <summary>
    /// Verifies a chain that begins with the pinned keyset (asked for with <c>after</c> = pin − 1); gives the last.
    /// </summary>
    /// <exception cref="ProtocolException"><c>keyset_chain</c> (empty), or as the single steps.</exception>
    public static Keyset VerifyFromPin(IReadOnlyList<SignedKeyset> chain, KeysetPin pin, Es256Verify verify)
    {
        if (chain.Count == 0)
            throw new ProtocolException("keyset_chain");
        Keyset first = VerifyPinned(chain[0], pin, verify);
        return VerifyAfter([.. chain.Skip(1)], first, verify);
    }

    /// <summary>
    /// Verifies the keysets after a trusted one; gives the last, or the trusted one when there are none.
    /// </summary>
    /// <exception cref="ProtocolException">As <see cref="VerifyNext"/>.</exception>
    public static Keyset VerifyAfter(IReadOnlyList<SignedKeyset> chain, Keyset trusted, Es256Verify verify)
    {
        foreach (SignedKeyset signed in chain)
            trusted = VerifyNext(signed, trusted, verify);
        return trusted;
    }

    private static Keyset VerifyOwn(SignedKeyset signed, Es256Verify verify) =>
        signed.IsSignedByOneOf(signed.Keyset, verify)
            ? signed.Keyset
            : throw new ProtocolException("keyset_signature");
}
