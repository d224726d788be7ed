namespace LicenseAgent.UnitTests.Protocol.Vectors;

/// <summary>Claims that the server's own key signed and that are refused all the same.</summary>
internal static class ClaimsVectors
{
    private const string Aud = "\"aud\":\"pos-001\"";
    private const string Exp = "\"exp\":1826636000";
    private const string Meta = "{\"shop\":\"17\"}";
    private const string Features = "[\"receipts\",\"scales\"]";

    public static IEnumerable<(string Name, TokenParts Parts)> Rows() =>
    [
        .. Missing(), .. Audiences(), .. Times(), .. Texts(), .. Lists(), .. Json(),
    ];

    private static IEnumerable<(string Name, TokenParts Parts)> Missing() =>
        from member in new[]
        {
            "\"iss\":\"license.example\",", "\"sub\":\"lic-0001\",", Aud + ",", "\"jti\":\"tok-0001\",",
            "\"iat\":1795100000,", "\"nbf\":1795100000,", Exp + ",", "\"product\":\"till\",",
            $"\"features\":{Features},", $",\"metadata\":{Meta}",
        }
        select ($"claim_missing_{member.Split('"')[1]}", TokenParts.With(member, ""));

    private static IEnumerable<(string Name, TokenParts Parts)> Audiences() =>
    [
        ("aud_null", TokenParts.With(Aud, "\"aud\":null")),
        ("aud_number", TokenParts.With(Aud, "\"aud\":1")),
        ("aud_object", TokenParts.With(Aud, "\"aud\":{\"pos-001\":true}")),
        ("aud_empty_text", TokenParts.With(Aud, "\"aud\":\"\"")),
        ("aud_empty_array", TokenParts.With(Aud, "\"aud\":[]")),
        ("aud_array_of_null", TokenParts.With(Aud, "\"aud\":[\"pos-001\",null]")),
        ("aud_array_of_number", TokenParts.With(Aud, "\"aud\":[\"pos-001\",1]")),
        ("aud_nested_array", TokenParts.With(Aud, "\"aud\":[[\"pos-001\"]]")),
        ("aud_wildcard", TokenParts.With(Aud, "\"aud\":\"*\"")),
        ("aud_upper_case", TokenParts.With(Aud, "\"aud\":\"POS-001\"")),
    ];

    private static IEnumerable<(string Name, TokenParts Parts)> Times() =>
    [
        ("exp_fraction", TokenParts.With(Exp, Exp + ".0")),
        ("exp_exponent", TokenParts.With(Exp, "\"exp\":1e10")),
        ("exp_text", TokenParts.With(Exp, "\"exp\":\"1826636000\"")),
        ("exp_null", TokenParts.With(Exp, "\"exp\":null")),
        ("exp_negative", TokenParts.With(Exp, "\"exp\":-1")),
        ("exp_minus_zero", TokenParts.With(Exp, "\"exp\":-0")),
        ("exp_leading_zero", TokenParts.With(Exp, "\"exp\":01826636000")),
        ("exp_2_to_the_53", TokenParts.With(Exp, "\"exp\":9007199254740992")),
        ("exp_2_to_the_64", TokenParts.With(Exp, "\"exp\":18446744073709551616")),
        ("exp_100_digits", TokenParts.With(Exp, "\"exp\":" + new string('9', 100))),
        ("exp_year_10000", TokenParts.With(Exp, "\"exp\":253402300800")),
        ("nbf_true", TokenParts.With("\"nbf\":1795100000", "\"nbf\":true")),
    ];

    private static IEnumerable<(string Name, TokenParts Parts)> Texts() =>
    [
        ("sub_empty", TokenParts.With("lic-0001", "")),
        ("sub_129_bytes", TokenParts.With("lic-0001", new string('s', 129))),
        ("jti_65_characters_130_bytes", TokenParts.With("tok-0001", new string('ä', 65))),
        ("product_null", TokenParts.With("\"till\"", "null")),
        ("product_number", TokenParts.With("\"till\"", "1")),
        ("product_nul", TokenParts.With("till", "till\\u0000")),
        ("product_lone_surrogate", TokenParts.With("till", "till\\ud83d")),
        ("product_surrogates_reversed", TokenParts.With("till", "till\\ude00\\ud83d")),
        ("iss_256_bytes", TokenParts.With("license.example", new string('i', 256))),
    ];

    private static IEnumerable<(string Name, TokenParts Parts)> Lists() =>
    [
        ("features_null", TokenParts.With(Features, "null")),
        ("features_text", TokenParts.With(Features, "\"receipts\"")),
        ("features_65", TokenParts.With(Features, $"[{string.Join(',', Enumerable.Repeat("\"f\"", 65))}]")),
        ("feature_empty", TokenParts.With("\"scales\"", "\"\"")),
        ("feature_65_bytes", TokenParts.With("scales", new string('f', 65))),
        ("feature_null", TokenParts.With("\"scales\"", "null")),
        ("feature_number", TokenParts.With("\"scales\"", "1")),
        ("metadata_null", TokenParts.With(Meta, "null")),
        ("metadata_array", TokenParts.With(Meta, "[]")),
        ("metadata_33", TokenParts.With(
            Meta, $"{{{string.Join(',', Enumerable.Range(0, 33).Select(i => $"\"{i}\":\"\""))}}}")),
        ("metadata_key_empty", TokenParts.With("\"shop\"", "\"\"")),
        ("metadata_key_65_bytes", TokenParts.With("shop", new string('k', 65))),
        ("metadata_value_513_bytes", TokenParts.With("\"17\"", $"\"{new string('v', 513)}\"")),
        ("metadata_value_null", TokenParts.With("\"17\"", "null")),
        ("metadata_value_number", TokenParts.With("\"17\"", "17")),
        ("metadata_value_object", TokenParts.With("\"17\"", "{}")),
        ("metadata_duplicate", TokenParts.With(Meta, "{\"shop\":\"17\",\"shop\":\"18\"}")),
        ("metadata_duplicate_escaped", TokenParts.With(Meta, "{\"shop\":\"17\",\"sh\\u006fp\":\"18\"}")),
    ];

    private static IEnumerable<(string Name, TokenParts Parts)> Json() =>
    [
        ("claims_empty", TokenParts.WithClaims("")),
        ("claims_array", TokenParts.WithClaims($"[{TokenParts.Claims}]")),
        ("claims_null", TokenParts.WithClaims("null")),
        ("claims_unknown_member", TokenParts.With("\"product\"", "\"admin\":true,\"product\"")),
        ("claims_duplicate", TokenParts.With("\"product\"", "\"exp\":1,\"product\"")),
        ("claims_duplicate_same_value", TokenParts.With("\"product\"", Exp + ",\"product\"")),
        ("claims_upper_case_name", TokenParts.With("\"product\"", "\"Product\"")),
        ("claims_deep", TokenParts.With(
            "\"product\"", $"\"x\":{new string('[', 2000)}{new string(']', 2000)},\"product\"")),
        ("claims_trailing_comma", TokenParts.With(Meta, Meta + ",")),
        ("claims_comment", TokenParts.WithClaims(TokenParts.Claims + "/**/")),
        ("claims_trailing_text", TokenParts.WithClaims(TokenParts.Claims + "{}")),
        ("claims_byte_order_mark", TokenParts.WithClaims("\uFEFF" + TokenParts.Claims)),
        ("claims_utf16", new TokenParts { Payload = System.Text.Encoding.Unicode.GetBytes(TokenParts.Claims) }),
        ("claims_overlong_utf8", new TokenParts
        {
            Payload = [.. TokenParts.Utf8(TokenParts.Claims[..^3]), 0xC0, 0xAF, .. TokenParts.Utf8("\"}}")],
        }),
        ("claims_surrogate_in_utf8", new TokenParts
        {
            Payload = [.. TokenParts.Utf8(TokenParts.Claims[..^3]), 0xED, 0xA0, 0x80, .. TokenParts.Utf8("\"}}")],
        }),
        ("claims_raw_newline_in_text", TokenParts.With("till", "ti\nll")),
        ("claims_cut", TokenParts.WithClaims(TokenParts.Claims[..^1])),
    ];
}
