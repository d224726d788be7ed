using System.Security.Cryptography;
using System.Text.Json.Nodes;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.UnitTests.Protocol.Vectors;

/// <summary>Makes <c>tests/vectors/secrets.json</c>: encrypted secrets, and keys derived from one.</summary>
internal static class SecretVectors
{
    public const string FileName = "secrets.json";

    private const string Header =
        """{"alg":"RSA-OAEP-256","enc":"A256GCM","kid":"pos-001.v7","typ":"secret+jwe"}""";

    private static readonly byte[] Cek = TokenParts.Fixed("content key of the secret", 32);

    public static JsonObject File()
    {
        var rows = new JsonArray();
        foreach ((string name, string outcome, string token) in Rows())
            rows.Add(new JsonObject { ["name"] = name, ["outcome"] = outcome, ["token"] = token });
        return new JsonObject
        {
            ["about"] = "Secrets encrypted to an agent's decryption key, and what is derived from one. Outcomes: "
                + "opened; shape = refused before any cryptography; wrong_key = RSA-OAEP-256, empty label, refuses; "
                + "wrong_tag. Binary is base64url. The private key was made for these vectors.",
            ["private_key_pkcs8"] = Base64UrlText.Encode(FixedRsaKey.PrivateKey),
            ["secret"] = Base64UrlText.Encode(TokenParts.Secret),
            ["kid"] = TokenParts.Kid,
            ["derived"] = Derived(),
            ["tokens"] = rows,
        };
    }

    private static JsonObject Derived()
    {
        byte[] pop = Hkdf("license-agent/pop", 32);
        byte[] nonce = TokenParts.Fixed("nonce", 16);
        string proved = "confirm|pos-001|7|" + Base64UrlText.Encode(nonce);
        return new JsonObject
        {
            ["token_content_key"] = Base64UrlText.Encode(Hkdf("license-agent/token/A256GCM/pos-001.v7", 32)),
            ["kcv"] = HexText.Encode(Hkdf("license-agent/kcv", 8)),
            ["pop_key"] = Base64UrlText.Encode(pop),
            ["confirm_nonce"] = Base64UrlText.Encode(nonce),
            ["confirm_proof"] = Base64UrlText.Encode(HMACSHA256.HashData(pop, TokenParts.Utf8(proved))),
        };
    }

    private static byte[] Hkdf(string info, int length) => HKDF.DeriveKey(
        HashAlgorithmName.SHA256, TokenParts.Secret, length, salt: [], info: TokenParts.Utf8(info));

    private static IEnumerable<(string Name, string Outcome, string Token)> Rows() =>
    [
        ("plain", "opened", Make()),
        ("header_in_another_order", "opened", Make(
            """{"typ":"secret+jwe","kid":"pos-001.v7","enc":"A256GCM","alg":"RSA-OAEP-256"}""")),
        ("alg_rsa_oaep", "shape", Make(Swap("RSA-OAEP-256", "RSA-OAEP"))),
        ("alg_rsa1_5", "shape", Make(Swap("RSA-OAEP-256", "RSA1_5"))),
        ("alg_dir", "shape", Make(Swap("RSA-OAEP-256", "dir"))),
        ("enc_a128gcm", "shape", Make(Swap("A256GCM", "A128GCM"))),
        ("typ_of_a_license", "shape", Make(Swap("secret+jwe", "license+jwe"))),
        ("kid_without_version", "shape", Make(Swap("pos-001.v7", "pos-001"))),
        ("kid_version_0", "shape", Make(Swap("v7", "v0"))),
        ("zip", "shape", Make(Swap("\"typ\"", "\"zip\":\"DEF\",\"typ\""))),
        ("duplicate_kid", "shape", Make(Swap("\"typ\"", "\"kid\":\"pos-001.v8\",\"typ\""))),
        ("secret_of_31_bytes", "shape", Make(secret: TokenParts.Secret[..31])),
        ("secret_of_33_bytes", "shape", Make(secret: [.. TokenParts.Secret, 0])),
        ("encrypted_key_of_255_bytes", "shape", Reshape(1, key => key[..340])),
        ("encrypted_key_empty", "shape", Reshape(1, _ => "")),
        ("iv_empty", "shape", Reshape(2, _ => "")),
        ("tag_of_15_bytes", "shape", Reshape(4, tag => tag[..20])),
        ("padding", "shape", Make() + "=="),
        ("segments_6", "shape", Make() + "."),
        ("too_long", "shape", Make() + new string('A', 1024)),
        ("oaep_with_a_label", "wrong_key", Make(label: "license-agent")),
        ("oaep_with_sha1", "wrong_key", Make(hash: HashAlgorithmName.SHA1)),
        ("encrypted_key_changed", "wrong_key", Reshape(1, key => 'A' + key[1..])),
        ("content_key_of_16_bytes", "wrong_tag", Make(sent: Cek[..16])),
        ("another_content_key", "wrong_tag", Make(sent: new byte[32])),
        ("kid_changed_after_sealing", "wrong_tag", Reshape(0, _ => TokenParts.Encode(Swap("v7", "v8")))),
        ("tag_zero", "wrong_tag", Reshape(4, _ => new string('A', 22))),
    ];

    private static string Make(
        string header = Header, byte[]? secret = null, byte[]? sent = null, string label = "",
        HashAlgorithmName? hash = null)
    {
        string outer = TokenParts.Encode(header);
        byte[] iv = TokenParts.Fixed("iv of the secret", 12), plaintext = secret ?? TokenParts.Secret;
        byte[] ciphertext = new byte[plaintext.Length], tag = new byte[16];
        using (var gcm = new AesGcm(Cek, 16))
            gcm.Encrypt(iv, plaintext, ciphertext, tag, TokenParts.Utf8(outer));
        byte[] encryptedKey = FixedRsaKey.Encrypt(
            sent ?? Cek, TokenParts.Fixed("oaep seed", 32), hash ?? HashAlgorithmName.SHA256, label);
        string[] rest = [.. new[] { encryptedKey, iv, ciphertext, tag }.Select(part => Base64UrlText.Encode(part))];
        return string.Join('.', (string[])[outer, .. rest]);
    }

    private static string Swap(string text, string other) => Header.Replace(text, other, StringComparison.Ordinal);

    private static string Reshape(int index, Func<string, string> change)
    {
        string[] segments = Make().Split('.');
        segments[index] = change(segments[index]);
        return string.Join('.', segments);
    }
}
