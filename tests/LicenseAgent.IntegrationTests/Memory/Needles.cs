using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace LicenseAgent.IntegrationTests.Memory;

/// <summary>
/// What to look for: the secret of a version and both keys derived from it, by the documented derivations and the
/// license server's key file alone, with no code of agent or server; raw by halves, and as hex and base64url in UTF-8
/// and UTF-16.
/// </summary>
internal static class Needles
{
    public static IReadOnlyList<Needle> Of(string serverData, string agentId, long version)
    {
        using JsonDocument file = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(serverData, "keys.json")));
        string key = file.RootElement.GetProperty("base_keys").EnumerateArray().Single()
            .GetProperty("key").GetString()!;
        byte[] secret = Derive(Base64Url.DecodeFromChars(key), $"license-agent/secret/{agentId}/{version}");
        return
        [
            .. Forms($"secret v{version}", secret),
            .. Forms($"token key v{version}", Derive(secret, $"license-agent/token/A256GCM/{agentId}.v{version}")),
            .. Forms($"proof key v{version}", Derive(secret, "license-agent/pop")),
        ];
    }

    public static byte[] Derive(byte[] key, string info) =>
        HKDF.DeriveKey(HashAlgorithmName.SHA256, key, 32, [], Encoding.ASCII.GetBytes(info));

    public static IEnumerable<Needle> Forms(string name, byte[] key)
    {
        yield return new Needle(name + ", first half", key[..16]);
        yield return new Needle(name + ", second half", key[16..]);
        string hex = Convert.ToHexStringLower(key), text = Base64Url.EncodeToString(key);
        foreach ((string form, string written) in ((string, string)[])
            [("hex", hex), ("HEX", hex.ToUpperInvariant()), ("base64url", text)])
        {
            yield return new Needle($"{name}, {form}", Encoding.ASCII.GetBytes(written[..20]));
            yield return new Needle($"{name}, {form} in UTF-16", Encoding.Unicode.GetBytes(written[..20]));
        }
    }
}
