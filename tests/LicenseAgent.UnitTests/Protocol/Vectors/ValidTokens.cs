namespace LicenseAgent.UnitTests.Protocol.Vectors;

internal static class ValidTokens
{
    private const int MaxBytes = 8192;

    public static IEnumerable<(string Name, TokenParts Parts)> Rows() =>
    [
        ("plain", new TokenParts()),
        ("audience_is_an_array", TokenParts.With("\"aud\":\"pos-001\"", "\"aud\":[\"pos-002\",\"pos-001\"]")),
        ("audience_is_an_array_of_one", TokenParts.With("\"aud\":\"pos-001\"", "\"aud\":[\"pos-001\"]")),
        ("audience_is_another_agent", TokenParts.With("\"aud\":\"pos-001\"", "\"aud\":\"pos-002\"")),
        ("no_features_no_metadata", TokenParts.WithClaims(TokenParts.Claims
            .Replace("[\"receipts\",\"scales\"]", "[]", StringComparison.Ordinal)
            .Replace("{\"shop\":\"17\"}", "{}", StringComparison.Ordinal))),
        ("claims_in_another_order_with_blanks", TokenParts.WithClaims("""
            { "metadata" : { } , "features" : [ ] , "product" : "till" , "exp" : 1826636000 , "nbf" : 0 , "iat" : 0 ,
              "jti" : "t" , "aud" : [ "pos-001" ] , "sub" : "l" , "iss" : "s" }
            """)),
        ("claims_with_escapes", TokenParts.With("\"till\"", "\"t\\u0069ll \\ud83d\\ude00 \\\"\\/\\n\"")),
        ("claims_beyond_ascii", TokenParts.With("\"17\"", "\"Käse & Brot 😀\"")),
        ("text_at_its_limits", TokenParts.WithClaims(TokenParts.Claims
            .Replace("lic-0001", new string('s', 128), StringComparison.Ordinal)
            .Replace("receipts", new string('f', 64), StringComparison.Ordinal)
            .Replace("shop", new string('k', 64), StringComparison.Ordinal)
            .Replace("\"17\"", $"\"{new string('v', 512)}\"", StringComparison.Ordinal))),
        ("features_64_metadata_32", TokenParts.WithClaims(TokenParts.Claims
            .Replace("\"receipts\",\"scales\"", Names(64, "{0}"), StringComparison.Ordinal)
            .Replace("\"shop\":\"17\"", Names(32, "{0}:\"\""), StringComparison.Ordinal))),
        ("expires_at_the_end_of_the_calendar", TokenParts.With("\"exp\":1826636000", "\"exp\":253402300799")),
        ("outer_header_in_another_order", new TokenParts
        {
            Outer = """{"typ":"license+jwe","cty":"JWT","kid":"pos-001.v7","enc":"A256GCM","alg":"dir"}""",
        }),
        ("outer_header_with_blanks", new TokenParts
        {
            Outer = """{ "alg": "dir", "enc": "A256GCM", "kid": "pos-001.v7", "cty": "JWT", "typ": "license+jwe" }""",
        }),
        ("inner_header_in_another_order", new TokenParts
        {
            Inner = $$"""{"typ":"license+jwt","kid":"{{TokenParts.Server.Kid}}","alg":"ES256"}""",
        }),
        ("signature_with_n_minus_s", new TokenParts { Sign = d => FixedEcKey.Negated(TokenParts.Server.Sign(d)) }),
        ("longest", Longest(MaxBytes)),
    ];

    /// <summary>The longest token of at most this many bytes.</summary>
    public static TokenParts Longest(int maxBytes) =>
        Enumerable.Range(0, 512).Select(Padded).Last(parts => parts.Token().Length <= maxBytes);

    /// <summary>The shortest token of more than this many bytes.</summary>
    public static TokenParts ShortestAbove(int bytes) =>
        Enumerable.Range(0, 512).Select(Padded).First(parts => parts.Token().Length > bytes);

    private static TokenParts Padded(int length)
    {
        string full = string.Concat(Enumerable.Range(0, 7).Select(i => $"\"{i}\":\"{new string('m', 512)}\","));
        string rest = $"\"w\":\"{new string('m', 128)}\",\"x\":\"{new string('m', length)}\"";
        return TokenParts.With("{\"shop\":\"17\"}", $"{{{full}{rest}}}");
    }

    private static string Names(int count, string format) => string.Join(',', Enumerable.Range(0, count).Select(
        i => string.Format(System.Globalization.CultureInfo.InvariantCulture, format, $"\"n{i}\"")));
}
