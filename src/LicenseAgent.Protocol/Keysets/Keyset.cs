using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Json;

namespace LicenseAgent.Protocol.Keysets;

/// <summary>
/// What a key of the server may sign. Scopes this version does not know are kept and mean nothing to it.
/// </summary>
public static class KeyScopes
{
    /// <summary>Keysets.</summary>
    public const string Keyset = "keyset";

    /// <summary>Answers to agents.</summary>
    public const string Response = "response";

    /// <summary>Licenses.</summary>
    public const string License = "license";
}

/// <summary>
/// A public key of the license server: a P-256 JWK with its thumbprint as <c>kid</c>, and what it may sign.
/// </summary>
/// <param name="Kty"><c>EC</c>.</param>
/// <param name="Crv"><c>P-256</c>.</param>
/// <param name="X">43 characters of base64url.</param>
/// <param name="Y">43 characters of base64url.</param>
/// <param name="Kid">The thumbprint (RFC 7638) of the key.</param>
/// <param name="Scope">At least one of <see cref="KeyScopes"/>, each once.</param>
public sealed record KeysetKey(
    string Kty, string Crv, string X, string Y, string Kid, IReadOnlyList<string> Scope)
{
    /// <summary>The key itself.</summary>
    [JsonIgnore]
    public EcPublicJwk PublicKey { get; } = new(Crv, Kty, X, Y);

    /// <summary>Whether the key may sign this.</summary>
    public bool May(string scope) => Scope.Contains(scope, StringComparer.Ordinal);

    /// <summary>The entry of a key.</summary>
    public static KeysetKey Of(EcPublicJwk key, params IReadOnlyList<string> scope) =>
        new(key.Kty, key.Crv, key.X, key.Y, key.Thumbprint().ToString(), scope);
}

/// <summary>The keys and pins of the license server, one numbered link of the chain.</summary>
/// <param name="Version">1, 2, 3 …; never goes down.</param>
/// <param name="IssuedAt">When it was made.</param>
/// <param name="NextUpdateBy">When a newer one should exist; past it an alert, never a refusal.</param>
/// <param name="Keys">1 to 64 keys, each once.</param>
/// <param name="Pins">At most 64 pins, accepted besides those of the configuration.</param>
public sealed record Keyset(
    long Version, UtcTime IssuedAt, UtcTime NextUpdateBy, IReadOnlyList<KeysetKey> Keys, IReadOnlyList<string> Pins)
{
    /// <summary>Most keys, and most pins, of one keyset.</summary>
    public const int MaxEntries = 64;

    /// <summary>The key of this <c>kid</c> if it may sign that; null otherwise.</summary>
    public EcPublicJwk? Find(string kid, string scope)
    {
        foreach (KeysetKey key in Keys)
        {
            if (key.Kid == kid && key.May(scope))
                return key.PublicKey;
        }
        return null;
    }

    /// <summary>
    /// Reads and checks a payload. Unknown members are skipped: it is an answer of a server that may be newer.
    /// </summary>
    /// <exception cref="ProtocolException"><c>json_… jwk keyset_… pin</c>.</exception>
    public static Keyset Read(ReadOnlySpan<byte> payload)
    {
        Keyset keyset = StrictJson.Read(payload, KeysetsJson.Lenient.Keyset);
        keyset.RequireForm();
        return keyset;
    }

    /// <summary>Checks and writes the payload. These bytes, not the record, are what is signed and pinned.</summary>
    /// <exception cref="ProtocolException">As <see cref="Read"/>.</exception>
    public byte[] Write()
    {
        RequireForm();
        return StrictJson.Write(this, KeysetsJson.Lenient.Keyset);
    }

    private void RequireForm()
    {
        Require(Version is >= 1 and <= StrictJson.MaxInteger, "keyset_version", "/version");
        Require(Keys.Count is >= 1 and <= MaxEntries && Keys.All(k => k is not null), "keyset_keys", "/keys");
        Require(Keys.Select(k => k.Kid).Distinct(StringComparer.Ordinal).Count() == Keys.Count, "keyset_kid", "/keys");
        foreach (KeysetKey key in Keys)
        {
            Require(key.PublicKey.Thumbprint().ToString() == key.Kid, "keyset_kid", "/keys");
            Require(
                key.Scope.Count is >= 1 and <= 8 && key.Scope.All(s => LimitedText.Fits(s, 1, 64))
                    && key.Scope.Distinct(StringComparer.Ordinal).Count() == key.Scope.Count,
                "keyset_scope", "/keys");
        }
        Require(Pins.Count <= MaxEntries && Pins.All(p => SpkiPin.TryParse(p, out _)), "pin", "/pins");
    }

    private static void Require(bool holds, string code, string member)
    {
        if (!holds)
            throw new ProtocolException(code, member);
    }
}

[JsonSerializable(typeof(Keyset))]
[JsonSerializable(typeof(GeneralJws))]
[JsonSerializable(typeof(IReadOnlyList<GeneralJws>))]
internal sealed partial class KeysetsJson : JsonSerializerContext
{
    /// <summary>For payloads, which a newer server may have extended.</summary>
    public static KeysetsJson Lenient { get; } = new(StrictJson.IgnoreUnknown());

    /// <summary>For the JWS around them, which are JOSE objects of exact members.</summary>
    public static KeysetsJson Strict { get; } = new(StrictJson.RefuseUnknown());
}
