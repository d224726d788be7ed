using System.Text.Json.Nodes;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.UnitTests.Protocol.Vectors;

/// <summary>Makes <c>tests/vectors/keysets.json</c>: chains of signed keysets, each with what becomes of it.</summary>
internal static class KeysetVectors
{
    public const string FileName = "keysets.json";

    private static readonly FixedEcKey First = FixedEcKey.Named("keyset 1"), Second = FixedEcKey.Named("keyset 2");
    private static readonly FixedEcKey Answers = FixedEcKey.Named("responses"), Attacker = TokenParts.Attacker;

    public static JsonObject File()
    {
        var rows = new JsonArray();
        foreach ((string name, string outcome, string[] chain) in Rows())
        {
            rows.Add(new JsonObject
            {
                ["name"] = name,
                ["outcome"] = outcome,
                ["chain"] = new JsonArray([.. chain.Select(link => JsonNode.Parse(link))]),
            });
        }
        return new JsonObject
        {
            ["about"] = "Answers of GET /api/v1/keyset that must begin with the pinned keyset. The outcome: accepted, "
                + "or the code of the refusal. Binary is base64url, signatures as in RFC 6979.",
            ["pin"] = new JsonObject
            {
                ["version"] = 1,
                ["sha256"] = Digest32.Sha256(TokenParts.Utf8(Payload(1, First))).ToString(),
            },
            ["chains"] = rows,
        };
    }

    private static IEnumerable<(string Name, string Outcome, string[] Chain)> Rows()
    {
        string one = Link(Payload(1, First), First);
        string two = Payload(2, Second);
        return
        [
            ("pinned_alone", "accepted", [one]),
            ("two_links", "accepted", [one, Link(two, First, Second)]),
            ("two_links_signatures_in_another_order", "accepted", [one, Link(two, Second, First)]),
            ("two_links_one_keyset_key", "accepted", [one, Link(Payload(2, First), First)]),
            ("further_signature_of_a_stranger", "accepted", [one, Link(two, Attacker, First, Second)]),
            ("empty", "keyset_chain", []),
            ("other_payload_than_pinned", "keyset_pin", [Link(Payload(1, Second), Second)]),
            ("begins_after_the_pin", "keyset_pin", [Link(two, First, Second)]),
            ("pinned_signed_by_a_stranger", "keyset_signature", [Link(Payload(1, First), Attacker)]),
            ("not_signed_by_the_one_before", "keyset_signature", [one, Link(two, Second)]),
            ("not_signed_by_itself", "keyset_signature", [one, Link(two, First)]),
            ("signed_by_a_key_that_signs_answers", "keyset_signature", [one, Link(two, Answers, Second)]),
            ("taken_over_by_a_stranger", "keyset_signature", [one, Link(Payload(2, Attacker), Attacker)]),
            ("link_skipped", "keyset_version", [one, Link(Payload(3, Second), First, Second)]),
            ("link_repeated", "keyset_version", [one, one]),
            ("signature_missing", "keyset_jws", [Link(Payload(1, First))]),
            ("signature_of_another_type", "keyset_jws", [Link(Payload(1, First), "server-response+jwt", First)]),
            ("payload_padded", "keyset_jws", [Swap(one, "\",\"signatures\"", "=\",\"signatures\"")]),
            ("unprotected_header", "json_value", [Swap(one, "\"protected\"", "\"header\":{},\"protected\"")]),
            ("kid_is_no_thumbprint", "keyset_kid", [Link(Swap(Payload(1, First), Answers.Kid, Attacker.Kid), First)]),
        ];
    }

    private static string Swap(string json, string text, string other) =>
        json.Replace(text, other, StringComparison.Ordinal);

    private static string Payload(int version, FixedEcKey own)
    {
        const string Times =
            "\"issued_at\":\"2026-11-19T18:53:20.000Z\",\"next_update_by\":\"2027-02-17T18:53:20.000Z\"";
        string keys = $"{Key(own, "keyset")},{Key(Answers, "response")}";
        return $$"""{"version":{{version}},{{Times}},"keys":[{{keys}}],"pins":[]}""";
    }

    private static string Key(FixedEcKey key, string scope)
    {
        string point = $"\"x\":\"{key.Public.X}\",\"y\":\"{key.Public.Y}\"";
        return $$"""{"kty":"EC","crv":"P-256",{{point}},"kid":"{{key.Kid}}","scope":["{{scope}}"]}""";
    }

    private static string Link(string payload, params FixedEcKey[] signers) => Link(payload, "keyset+jwt", signers);

    private static string Link(string payload, string typ, params FixedEcKey[] signers)
    {
        string encoded = TokenParts.Encode(payload);
        IEnumerable<string> signatures = signers.Select(signer =>
        {
            string head = TokenParts.Encode($$"""{"alg":"ES256","kid":"{{signer.Kid}}","typ":"{{typ}}"}""");
            string signature = Base64UrlText.Encode(signer.Sign(TokenParts.Utf8($"{head}.{encoded}")));
            return $$"""{"protected":"{{head}}","signature":"{{signature}}"}""";
        });
        return $$"""{"payload":"{{encoded}}","signatures":[{{string.Join(',', signatures)}}]}""";
    }
}
