using System.Text.Json.Nodes;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.UnitTests.Protocol.Vectors;

/// <summary>Makes <c>tests/vectors/license-tokens.json</c>: tokens valid and hostile, each with its outcome.</summary>
internal static class LicenseTokenVectors
{
    public const string FileName = "license-tokens.json";

    public static JsonObject File()
    {
        var rows = new JsonArray();
        foreach ((string name, string outcome, string token) in Rows())
            rows.Add(new JsonObject { ["name"] = name, ["outcome"] = outcome, ["token"] = token });
        return new JsonObject
        {
            ["about"] = "License tokens for agent_id, version. Outcomes: opened; shape = refused on public bytes, "
                + "before any cryptography; other_kid = well-formed, but for another agent or version, so that the key "
                + "below is not tried; wrong_tag; malformed_inner; unknown_signer; wrong_signature; malformed_claims. "
                + "Audience, times and revocation are not judged. Binary is base64url, signatures as in RFC 6979.",
            ["agent_id"] = TokenParts.AgentId,
            ["version"] = 7,
            ["kid"] = TokenParts.Kid,
            ["secret"] = Base64UrlText.Encode(TokenParts.Secret),
            ["content_key"] = Base64UrlText.Encode(TokenParts.ContentKey(TokenParts.Kid)),
            ["server_key"] = new JsonObject
            {
                ["crv"] = "P-256",
                ["kty"] = "EC",
                ["x"] = TokenParts.Server.Public.X,
                ["y"] = TokenParts.Server.Public.Y,
            },
            ["server_kid"] = TokenParts.Server.Kid,
            ["tokens"] = rows,
        };
    }

    private static IEnumerable<(string Name, string Outcome, string Token)> Rows() =>
    [
        .. ValidTokens.Rows().Select(r => (r.Name, "opened", r.Parts.Token())),
        .. OuterVectors.Headers().Select(r => (r.Name, "shape", new TokenParts { Outer = r.Header }.Token())),
        .. OuterVectors.Shapes().Select(r => (r.Name, "shape", r.Token)),
        .. OuterVectors.OtherKids().Select(r => (r.Name, "other_kid", r.Parts.Token())),
        .. OuterVectors.WrongTags().Select(r => (r.Name, "wrong_tag", r.Parts.Token())),
        .. InnerVectors.Headers().Select(r => (r.Name, "malformed_inner", new TokenParts { Inner = r.Header }.Token())),
        .. InnerVectors.Malformed().Select(r => (r.Name, "malformed_inner", r.Parts.Token())),
        .. InnerVectors.UnknownSigners().Select(r => (r.Name, "unknown_signer", r.Parts.Token())),
        .. InnerVectors.WrongSignatures().Select(r => (r.Name, "wrong_signature", r.Parts.Token())),
        .. ClaimsVectors.Rows().Select(r => (r.Name, "malformed_claims", r.Parts.Token())),
    ];
}
