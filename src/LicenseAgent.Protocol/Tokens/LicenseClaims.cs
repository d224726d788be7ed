using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Json;

namespace LicenseAgent.Protocol.Tokens;

/// <summary>What a license says: the payload of the inner JWS of a license token. Every member is required.</summary>
/// <param name="Iss">Name of the license server, 1–255 bytes.</param>
/// <param name="Sub">License id, 1–128 bytes.</param>
/// <param name="Aud">The agents it is for; on the wire a string when it is one, else an array.</param>
/// <param name="Jti">Id of this token's content, 1–128 bytes.</param>
/// <param name="Iat">Issued at, seconds since 1970 (NumericDate).</param>
/// <param name="Nbf">Not before, seconds since 1970.</param>
/// <param name="Exp">Expires at, seconds since 1970.</param>
/// <param name="Product">The product, 1–128 bytes.</param>
/// <param name="Features">At most 64 of 1–64 bytes.</param>
/// <param name="Metadata">At most 32 members; keys 1–64 bytes, values at most 512.</param>
public sealed record LicenseClaims(
    string Iss,
    string Sub,
    [property: JsonConverter(typeof(AudienceJson))] IReadOnlyList<string> Aud,
    string Jti,
    long Iat,
    long Nbf,
    long Exp,
    string Product,
    IReadOnlyList<string> Features,
    IReadOnlyDictionary<string, string> Metadata)
{
    private const int IssuerMaxBytes = 255;

    /// <summary><see cref="Exp"/> as an instant.</summary>
    [JsonIgnore]
    public UtcTime ExpiresAt => UtcTime.FromUnixSeconds(Exp);

    /// <summary><see cref="Nbf"/> as an instant.</summary>
    [JsonIgnore]
    public UtcTime NotBefore => UtcTime.FromUnixSeconds(Nbf);

    /// <summary>Whether the license is for this agent.</summary>
    public bool IsFor(string agentId) => Aud.Contains(agentId, StringComparer.Ordinal);

    /// <summary>Reads and checks the payload of a signed license.</summary>
    /// <exception cref="ProtocolException">
    /// <c>json_…</c>, <c>text_length</c>, <c>claims_…</c> with the member.
    /// </exception>
    public static LicenseClaims Read(ReadOnlySpan<byte> payload)
    {
        LicenseClaims claims = StrictJson.Read(payload, TokensJson.Strict.LicenseClaims);
        claims.RequireLimits();
        return claims;
    }

    /// <summary>Checks and writes the payload of a license.</summary>
    /// <exception cref="ProtocolException">As <see cref="Read"/>.</exception>
    public byte[] Write()
    {
        RequireLimits();
        return StrictJson.Write(this, TokensJson.Strict.LicenseClaims);
    }

    private void RequireLimits()
    {
        LimitedText.Require(Iss, 1, IssuerMaxBytes, "/iss");
        LimitedText.Require(Sub, 1, LimitedText.NameMaxBytes, "/sub");
        LimitedText.Require(Jti, 1, LimitedText.NameMaxBytes, "/jti");
        LimitedText.Require(Product, 1, LimitedText.NameMaxBytes, "/product");
        Require(Aud.Count > 0 && Aud.All(AgentId.IsValid), "claims_audience", "/aud");
        RequireTime(Iat, "/iat");
        RequireTime(Nbf, "/nbf");
        RequireTime(Exp, "/exp");
        Require(Features.Count <= LimitedText.MaxFeatures, "claims_features", "/features");
        foreach (string feature in Features)
            LimitedText.Require(feature, 1, LimitedText.FeatureMaxBytes, "/features");
        Require(Metadata.Count <= LimitedText.MaxMetadata, "claims_metadata", "/metadata");
        foreach ((string key, string value) in Metadata)
        {
            LimitedText.Require(key, 1, LimitedText.MetadataKeyMaxBytes, "/metadata");
            LimitedText.Require(value, 0, LimitedText.MetadataValueMaxBytes, "/metadata");
        }
    }

    /// <summary>From 1970 to the end of the calendar.</summary>
    private static void RequireTime(long seconds, string member) =>
        Require(seconds >= 0 && seconds <= UtcTime.MaxValue.UnixSeconds, "claims_time", member);

    private static void Require(bool holds, string code, string member)
    {
        if (!holds)
            throw new ProtocolException(code, member);
    }
}
