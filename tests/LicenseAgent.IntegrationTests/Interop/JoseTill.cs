using System.Text.Json;
using System.Text.Json.Nodes;
using LicenseAgent.IntegrationTests.EndToEnd;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Keysets;
using LicenseServer.Keys;
using Xunit;

namespace LicenseAgent.IntegrationTests.Interop;

/// <summary>
/// A running, enrolled till, and in jose's hands everything a second implementation of the license server would have:
/// the agent's secret of version 1 and the server's signing keys.
/// </summary>
public sealed class JoseTill : IAsyncLifetime
{
    private const string Kid = LiveTill.Name + ".v1";

    private readonly Dictionary<string, string> _signers = [];
    private string _secret = "";

    internal LiveTill Till { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Till = await LiveTill.StartEnrolledAsync(TestContext.Current.CancellationToken);
        string path = Path.Combine(Till.ServerData, "keys.json");
        KeyFile file = KeyFile.Read(path);
        foreach (SigningKeyEntry key in file.SigningKeys)
            _signers[key.Scope] = key.Pkcs8;
        using var keys = new ServerKeys(file, path);
        byte[] secret = new byte[ServerKeys.SecretLength];
        keys.DeriveSecret(LiveTill.Name, 1, keys.CurrentEpoch, secret);
        _secret = Base64UrlText.Encode(secret);
    }

    public async ValueTask DisposeAsync()
    {
        if (Till is not null)
            await Till.DisposeAsync();
    }

    /// <summary>A token that jose made.</summary>
    /// <param name="variant">One of jose.mjs' hostile ones.</param>
    /// <param name="change">To claims that are in order.</param>
    internal Task<string> MintAsync(
        CancellationToken cancel, string? variant = null, Action<JsonObject>? change = null, string kid = Kid)
    {
        long now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        var claims = new JsonObject
        {
            ["iss"] = "license-server",
            ["sub"] = "lic-jose",
            ["aud"] = LiveTill.Name,
            ["jti"] = "jti-jose",
            ["iat"] = now,
            ["nbf"] = now - 60,
            ["exp"] = now + 86_400,
            ["product"] = "register",
            ["features"] = new JsonArray("sale"),
            ["metadata"] = new JsonObject { ["shop"] = "Zürich" },
        };
        change?.Invoke(claims);
        return JoseTool.TextAsync(
            "mint",
            new JsonObject
            {
                ["secret"] = _secret,
                ["kid"] = kid,
                ["signer"] = _signers["license"],
                ["responder"] = _signers["response"],
                ["claims"] = claims,
                ["variant"] = variant,
            },
            cancel);
    }

    /// <summary>What jose finds in a token of ours, with the public keys of the till's keyset.</summary>
    internal Task<JsonElement> OpenAsync(string token, CancellationToken cancel) => JoseTool.RunAsync(
        "open",
        new JsonObject
        {
            ["token"] = token,
            ["secret"] = _secret,
            ["kid"] = Kid,
            ["keys"] = new JsonArray([.. Keys()]),
        },
        cancel);

    /// <summary>The public keys that the till knows the server by.</summary>
    private IEnumerable<JsonNode> Keys() =>
        KeysetChain.Read(File.ReadAllBytes(Path.Combine(Till.Folder.State, "keysets.json")))[^1].Keyset.Keys
            .Select(key =>
            {
                JsonObject jwk = Jwk(key.PublicKey);
                jwk["kid"] = key.Kid;
                return jwk;
            });

    /// <summary>The key that signs what the server answers, as the till knows it.</summary>
    internal JsonNode ResponseKey() => Jwk(
        KeysetChain.Read(File.ReadAllBytes(Path.Combine(Till.Folder.State, "keysets.json")))[^1].Keyset.Keys
            .Single(key => key.May(KeyScopes.Response)).PublicKey);

    internal static JsonObject Jwk(EcPublicJwk key) =>
        new() { ["kty"] = key.Kty, ["crv"] = key.Crv, ["x"] = key.X, ["y"] = key.Y };
}
