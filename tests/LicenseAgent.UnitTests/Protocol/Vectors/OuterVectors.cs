using System.Text.Json.Nodes;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.UnitTests.Protocol.Vectors;

/// <summary>Hostile outer parts. Where the shape is wrong, nothing else is.</summary>
internal static class OuterVectors
{
    private const string Good = TokenParts.OuterHeader;

    public static IEnumerable<(string Name, string Header)> Headers() =>
    [
        ("outer_alg_none", Swap("\"dir\"", "\"none\"")),
        ("outer_alg_rsa", Swap("\"dir\"", "\"RSA-OAEP-256\"")),
        ("outer_alg_upper_case", Swap("\"dir\"", "\"DIR\"")),
        ("outer_alg_array", Swap("\"dir\"", "[\"dir\"]")),
        ("outer_alg_missing", Swap("\"alg\":\"dir\",", "")),
        ("outer_enc_a128gcm", Swap("A256GCM", "A128GCM")),
        ("outer_enc_cbc", Swap("A256GCM", "A256CBC-HS512")),
        ("outer_enc_missing", Swap("\"enc\":\"A256GCM\",", "")),
        ("outer_typ_of_a_secret", Swap("license+jwe", "secret+jwe")),
        ("outer_typ_of_the_inner", Swap("license+jwe", "license+jwt")),
        ("outer_typ_media_type", Swap("license+jwe", "application/license+jwe")),
        ("outer_typ_missing", Swap(",\"typ\":\"license+jwe\"", "")),
        ("outer_cty_lower_case", Swap("\"JWT\"", "\"jwt\"")),
        ("outer_cty_missing", Swap("\"cty\":\"JWT\",", "")),
        ("outer_zip", Swap("\"typ\"", "\"zip\":\"DEF\",\"typ\"")),
        ("outer_crit", Swap("\"typ\"", "\"crit\":[\"exp\"],\"typ\"")),
        ("outer_jku", Swap("\"typ\"", "\"jku\":\"https://attacker.example/\",\"typ\"")),
        ("outer_unknown_member", Swap("\"typ\"", "\"x\":1,\"typ\"")),
        ("outer_duplicate_alg", Swap("\"enc\"", "\"alg\":\"dir\",\"enc\"")),
        ("outer_duplicate_kid", Swap("\"cty\"", "\"kid\":\"pos-001.v7\",\"cty\"")),
        ("outer_kid_missing", Swap("\"kid\":\"pos-001.v7\",", "")),
        ("outer_kid_number", Swap("\"pos-001.v7\"", "7")),
        ("outer_kid_null", Swap("\"pos-001.v7\"", "null")),
        ("outer_kid_without_version", Swap("pos-001.v7", "pos-001")),
        ("outer_kid_version_0", Swap("pos-001.v7", "pos-001.v0")),
        ("outer_kid_leading_zero", Swap("pos-001.v7", "pos-001.v07")),
        ("outer_kid_version_signed", Swap("pos-001.v7", "pos-001.v-7")),
        ("outer_kid_version_2_to_the_53", Swap("pos-001.v7", "pos-001.v9007199254740992")),
        ("outer_kid_version_enormous", Swap("pos-001.v7", "pos-001.v" + new string('9', 60))),
        ("outer_kid_upper_case", Swap("pos-001.v7", "POS-001.v7")),
        ("outer_kid_two_dots", Swap("pos-001.v7", "pos.001.v7")),
        ("outer_kid_blank", Swap("pos-001.v7", "pos-001.v7 ")),
        ("outer_kid_path", Swap("pos-001.v7", "../pos-001.v7")),
        ("outer_kid_nul", Swap("pos-001.v7", "pos-001.v7\\u0000")),
        ("outer_kid_lone_surrogate", Swap("pos-001.v7", "pos-001.v7\\ud800")),
        ("outer_kid_escaped", Swap("pos-001.v7", "pos-001.v\\u0037")),
        ("outer_name_escaped", Swap("\"alg\"", "\"\\u0061lg\"")),
        ("outer_kid_long", Swap("pos-001.v7", new string('a', 600) + ".v7")),
        ("outer_header_deep", Swap("\"typ\"", $"\"x\":{new string('[', 100)}{new string(']', 100)},\"typ\"")),
        ("outer_header_comma_at_the_end", Swap("license+jwe\"", "license+jwe\",")),
        ("outer_header_trailing_text", Good + "{}"),
        ("outer_header_trailing_nul", Good + "\0"),
        ("outer_header_byte_order_mark", "\uFEFF" + Good),
        ("outer_header_comment", Good + "//"),
        ("outer_header_array", "[\"dir\"]"),
        ("outer_header_cut", Good[..40]),
        ("outer_header_empty", ""),
    ];

    public static IEnumerable<(string Name, string Token)> Shapes() =>
    [
        ("empty", ""),
        ("dots_only", "...."),
        ("inner_token_alone", new TokenParts().InnerJws()),
        ("segments_4", Reshaped(s => s[..4])),
        ("segments_6", Reshaped(s => [.. s, ""])),
        ("segments_6_at_the_front", Reshaped(s => ["", .. s])),
        ("encrypted_key_present", new TokenParts { EncryptedKey = "AAAA" }.Token()),
        ("iv_11_bytes", new TokenParts { Iv = TokenParts.Fixed("iv", 11) }.Token()),
        ("iv_13_bytes", new TokenParts { Iv = TokenParts.Fixed("iv", 13) }.Token()),
        ("iv_16_bytes", new TokenParts { Iv = TokenParts.Fixed("iv", 16) }.Token()),
        ("iv_empty", Segment(2, _ => "")),
        ("tag_12_bytes", Segment(4, tag => tag[..16])),
        ("tag_15_bytes", Segment(4, tag => tag[..20])),
        ("tag_17_bytes", Segment(4, tag => tag[..21] + "AA")),
        ("tag_empty", Segment(4, _ => "")),
        ("tag_unused_bits", Segment(4, tag => tag[..21] + (char)(tag[21] + 1))),
        ("tag_padding", Segment(4, tag => tag + "==")),
        ("ciphertext_empty", Segment(3, _ => "")),
        ("ciphertext_length_1_mod_4", Segment(3, c => c[..(c.Length - (c.Length % 4) - 3)])),
        ("ciphertext_padding", Segment(3, c => c + "=")),
        ("ciphertext_blank", Segment(3, c => c.Insert(8, " "))),
        ("ciphertext_newline", Segment(3, c => c.Insert(64, "\n"))),
        ("ciphertext_standard_alphabet", Segment(3, c => c.Replace('-', '+').Replace('_', '/'))),
        ("ciphertext_beyond_ascii", Segment(3, c => c[..^1] + "é")),
        ("ciphertext_nul", Segment(3, c => c[..^1] + "\0")),
        ("header_padding", Segment(0, h => h + "=")),
        ("header_newline", Segment(0, h => h.Insert(20, "\r\n"))),
        ("blank_before", " " + new TokenParts().Token()),
        ("newline_after", new TokenParts().Token() + "\n"),
        ("dot_after", new TokenParts().Token() + "."),
        ("comma_for_dot", new TokenParts().Token().Replace('.', ',')),
        ("quoted", $"\"{new TokenParts().Token()}\""),
        ("longer_than_8192", ValidTokens.ShortestAbove(8192).Token()),
        ("general_json_form", $$"""{"ciphertext":"{{new TokenParts().Token().Split('.')[3]}}"}"""),
    ];

    public static IEnumerable<(string Name, TokenParts Parts)> OtherKids() =>
    [
        ("other_version_its_key", new TokenParts
        {
            Outer = Swap("v7", "v8"), Key = TokenParts.ContentKey("pos-001.v8"),
        }),
        ("other_version_this_key", new TokenParts { Outer = Swap("v7", "v8") }),
        ("other_agent_this_key", new TokenParts { Outer = Swap("pos-001", "pos-002") }),
        ("other_agent_prefix", new TokenParts { Outer = Swap("pos-001", "pos-00") }),
        ("largest_version", new TokenParts { Outer = Swap("v7", "v9007199254740991") }),
    ];

    public static IEnumerable<(string Name, TokenParts Parts)> WrongTags() =>
    [
        ("tag_bit_flipped", Reshape(4, Flip)),
        ("tag_zero", Reshape(4, _ => new string('A', 22))),
        ("iv_bit_flipped", Reshape(2, Flip)),
        ("ciphertext_bit_flipped", Reshape(3, Flip)),
        ("ciphertext_cut", Reshape(3, c => Base64UrlText.Encode(JsonValue.Create(c).Bytes().AsSpan()[..^3]))),
        ("header_reordered_after_sealing", new TokenParts
        {
            OuterAfterwards = """{"enc":"A256GCM","alg":"dir","kid":"pos-001.v7","cty":"JWT","typ":"license+jwe"}""",
        }),
        ("kid_changed_after_sealing", new TokenParts
        {
            Outer = Swap("v7", "v8"), OuterAfterwards = Good, Key = TokenParts.ContentKey("pos-001.v8"),
        }),
        ("key_of_another_version", new TokenParts { Key = TokenParts.ContentKey("pos-001.v8") }),
        ("secret_itself_as_key", new TokenParts { Key = TokenParts.Secret }),
        ("key_zero", new TokenParts { Key = new byte[32] }),
    ];

    private static string Swap(string text, string other) => Good.Replace(text, other, StringComparison.Ordinal);

    private static string Reshaped(Func<string[], string[]> reshape) => new TokenParts { Reshape = reshape }.Token();

    private static string Segment(int index, Func<string, string> change) => Reshape(index, change).Token();

    private static TokenParts Reshape(int index, Func<string, string> change) => new()
    {
        Reshape = s => [.. s[..index], change(s[index]), .. s[(index + 1)..]],
    };

    /// <summary>The first bit of the bytes behind the text.</summary>
    private static string Flip(string text)
    {
        byte[] bytes = JsonValue.Create(text).Bytes();
        bytes[0] ^= 0x80;
        return Base64UrlText.Encode(bytes);
    }
}
