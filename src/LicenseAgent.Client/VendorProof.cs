using System.Collections.Frozen;
using System.Text;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Tokens;

namespace LicenseAgent.Client;

/// <summary>
/// Checks that a yes of the agent is the vendor's yes: the signed license that comes with it, and that the answer says
/// what the license says. Safe on any thread.
/// </summary>
internal sealed class VendorProof(IReadOnlyList<EcPublicJwk> keys, TimeSpan expiryLeeway, TimeProvider clock)
{
    private readonly FrozenDictionary<string, EcPublicJwk> byKid =
        keys.ToFrozenDictionary(key => key.Thumbprint().ToString(), StringComparer.Ordinal);

    // An application presents one token over and over; its license need not be verified each time.
    private Proven? last;

    /// <summary>What is wrong; <see langword="null"/> when nothing is, or when no key was given to judge by.</summary>
    public string? DoubtAbout(ValidateLicenseResponse yes)
    {
        if (byKid.Count == 0)
            return null;
        if (yes.License is not { } license)
            return "The answer carries no license.";
        if (Read(license) is not { } claims)
            return "The license in the answer is not signed by a vendor key.";
        if (!Says(yes, claims))
            return "The answer says something else than its license.";
        return claims.ExpiresAt + expiryLeeway > UtcTime.From(clock.GetUtcNow())
            ? null
            : "The license in the answer has ended.";
    }

    private LicenseClaims? Read(string license)
    {
        if (Volatile.Read(ref last) is { } proven && proven.License == license)
            return proven.Claims;
        if (license.Length > LicenseToken.MaxBytes
            || !LicenseToken.TryParseInner(Encoding.UTF8.GetBytes(license), out ParsedJws? jws)
            || !byKid.TryGetValue(jws.Kid, out EcPublicJwk? key) || !jws.IsSignedBy(key, Es256.Verify))
        {
            return null;
        }
        try
        {
            LicenseClaims claims = LicenseClaims.Read(jws.Payload);
            Volatile.Write(ref last, new Proven(license, claims));
            return claims;
        }
        catch (ProtocolException)
        {
            // Signed by the vendor and no license: not a proof of one.
            return null;
        }
    }

    private static bool Says(ValidateLicenseResponse yes, LicenseClaims claims) =>
        yes.LicenseId == claims.Sub && yes.Product == claims.Product && yes.ExpiresAt == claims.ExpiresAt
        && yes.UsableUntil is { } until && until <= claims.ExpiresAt
        && yes.Features is { } features && features.SequenceEqual(claims.Features, StringComparer.Ordinal)
        && yes.Metadata is { } metadata && metadata.Count == claims.Metadata.Count
        && metadata.All(member => claims.Metadata.TryGetValue(member.Key, out string? value) && value == member.Value);

    private sealed record Proven(string License, LicenseClaims Claims);
}
