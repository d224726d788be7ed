using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.UnitTests.Protocol.Vectors;

/// <summary>
/// Hostile inner parts, sealed with the right key: what a till whose secret leaked could make. None may pass.
/// </summary>
internal static class InnerVectors
{
    private static string Good => TokenParts.InnerHeader;

    /// <summary>Each signed by the server's own key over just this header.</summary>
    public static IEnumerable<(string Name, string Header)> Headers() =>
    [
        ("inner_alg_none_signed", Swap("ES256", "none")),
        ("inner_alg_hs256_signed", Swap("ES256", "HS256")),
        ("inner_alg_es384_signed", Swap("ES256", "ES384")),
        ("inner_alg_es256k_signed", Swap("ES256", "ES256K")),
        ("inner_alg_lower_case", Swap("ES256", "es256")),
        ("inner_alg_missing", Swap("\"alg\":\"ES256\",", "")),
        ("inner_typ_of_an_answer", Swap("license+jwt", "server-response+jwt")),
        ("inner_typ_of_a_keyset", Swap("license+jwt", "keyset+jwt")),
        ("inner_typ_jwt", Swap("license+jwt", "JWT")),
        ("inner_typ_missing", Swap(",\"typ\":\"license+jwt\"", "")),
        ("inner_kid_missing", $$"""{"alg":"ES256","typ":"license+jwt"}"""),
        ("inner_kid_array", $$"""{"alg":"ES256","kid":["{{TokenParts.Server.Kid}}"],"typ":"license+jwt"}"""),
        ("inner_jwk", Swap("\"typ\"", $"\"jwk\":{AttackerJwk()},\"typ\"")),
        ("inner_x5c", Swap("\"typ\"", "\"x5c\":[\"MIIB\"],\"typ\"")),
        ("inner_crit", Swap("\"typ\"", "\"crit\":[\"b64\"],\"b64\":false,\"typ\"")),
        ("inner_b64_false", Swap("\"typ\"", "\"b64\":false,\"typ\"")),
        ("inner_cty", Swap("\"typ\"", "\"cty\":\"JWT\",\"typ\"")),
        ("inner_duplicate_alg", Swap("\"kid\"", "\"alg\":\"none\",\"kid\"")),
        ("inner_duplicate_kid", Swap("\"typ\"", $"\"kid\":\"{TokenParts.Attacker.Kid}\",\"typ\"")),
        ("inner_header_trailing_text", Good + " x"),
    ];

    public static IEnumerable<(string Name, TokenParts Parts)> Malformed() =>
    [
        ("inner_alg_none_unsigned", Whole(Input(Swap("ES256", "none")) + ".")),
        ("inner_alg_hs256_with_the_public_key", Whole(Hs256())),
        ("inner_signature_missing", Whole(Input(Good))),
        ("inner_signature_empty", Whole(Input(Good) + ".")),
        ("inner_signature_der", new TokenParts { Sign = Der }),
        ("inner_signature_63_bytes", new TokenParts { Sign = d => TokenParts.Server.Sign(d)[..63] }),
        ("inner_signature_65_bytes", new TokenParts { Sign = d => [.. TokenParts.Server.Sign(d), 0] }),
        ("inner_signature_96_bytes", new TokenParts { Sign = d => [.. TokenParts.Server.Sign(d), .. new byte[32]] }),
        ("inner_signature_unused_bits", Whole(Jws()[..^1] + (char)(Jws()[^1] + 1))),
        ("inner_signature_padding", Whole(Jws() + "==")),
        ("inner_newline_after", Whole(Jws() + "\n")),
        ("inner_segments_4", Whole(Jws() + ".e30")),
        ("inner_segments_1", Whole(Jws().Replace(".", "", StringComparison.Ordinal))),
        ("inner_payload_padding", Whole(Jws().Insert(Jws().LastIndexOf('.'), "="))),
        ("inner_is_the_claims", Whole(TokenParts.Claims)),
        ("inner_is_a_token", Whole(new TokenParts().Token())),
        ("inner_is_nul", Whole("\0")),
        ("inner_flattened_json_form", Whole(Flattened(Jws().Split('.')))),
    ];

    public static IEnumerable<(string Name, TokenParts Parts)> UnknownSigners() =>
    [
        ("signed_by_the_attacker", new TokenParts
        {
            Inner = Swap(TokenParts.Server.Kid, TokenParts.Attacker.Kid), Sign = d => TokenParts.Attacker.Sign(d),
        }),
        ("kid_of_the_agent", new TokenParts { Inner = Swap(TokenParts.Server.Kid, "pos-001") }),
        ("kid_in_lower_case", new TokenParts
        {
            Inner = Swap(TokenParts.Server.Kid, TokenParts.Server.Kid.ToLowerInvariant()),
        }),
    ];

    public static IEnumerable<(string Name, TokenParts Parts)> WrongSignatures() =>
    [
        ("signed_by_the_attacker_in_the_servers_name", new TokenParts { Sign = d => TokenParts.Attacker.Sign(d) }),
        ("signature_of_another_license", new TokenParts { Sign = _ => TokenParts.Server.Sign("other"u8) }),
        ("signature_zero", new TokenParts { Sign = _ => new byte[64] }),
        ("signature_all_ones", new TokenParts { Sign = _ => [.. Enumerable.Repeat((byte)0xFF, 64)] }),
        ("signature_group_order", new TokenParts { Sign = _ => Order() }),
        ("signature_halves_swapped", new TokenParts { Sign = d => Swapped(TokenParts.Server.Sign(d)) }),
        ("signature_over_the_payload_alone", new TokenParts
        {
            Sign = _ => TokenParts.Server.Sign(TokenParts.Utf8(TokenParts.Claims)),
        }),
        ("feature_added_afterwards", new TokenParts
        {
            Payload = TokenParts.With("\"scales\"", "\"scales\",\"loyalty\"").Payload, Sign = _ => SignatureOfGood(),
        }),
    ];

    private static TokenParts Whole(string inner) => new() { Plaintext = inner };

    private static string AttackerJwk() =>
        System.Text.Encoding.UTF8.GetString(System.Text.Json.JsonSerializer.SerializeToUtf8Bytes(
            TokenParts.Attacker.Public, System.Text.Json.JsonSerializerOptions.Web));

    private static string Flattened(string[] jws) =>
        $$"""{"payload":"{{jws[1]}}","protected":"{{jws[0]}}","signature":"{{jws[2]}}"}""";

    private static string Jws() => new TokenParts().InnerJws();

    private static string Input(string header) => $"{TokenParts.Encode(header)}.{TokenParts.Encode(TokenParts.Claims)}";

    private static string Swap(string text, string other) => Good.Replace(text, other, StringComparison.Ordinal);

    private static byte[] SignatureOfGood() => TokenParts.Server.Sign(TokenParts.Utf8(Input(Good)));

    private static byte[] Swapped(byte[] signature) => [.. signature[32..], .. signature[..32]];

    private static byte[] Order()
    {
        byte[] n = Convert.FromHexString("FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551");
        return [.. n, .. n];
    }

    private static string Hs256()
    {
        string input = Input(Swap("ES256", "HS256"));
        using ECDsa key = TokenParts.Server.Public.ToEcdsa();
        byte[] mac = HMACSHA256.HashData(key.ExportSubjectPublicKeyInfo(), TokenParts.Utf8(input));
        return $"{input}.{Base64UrlText.Encode(mac)}";
    }

    /// <summary>SEQUENCE of two INTEGERs, as OpenSSL writes signatures.</summary>
    private static byte[] Der(byte[] data)
    {
        byte[] signature = TokenParts.Server.Sign(data);
        var writer = new System.Formats.Asn1.AsnWriter(System.Formats.Asn1.AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            writer.WriteInteger(new System.Numerics.BigInteger(signature.AsSpan(0, 32), true, true));
            writer.WriteInteger(new System.Numerics.BigInteger(signature.AsSpan(32), true, true));
        }
        return writer.Encode();
    }
}
