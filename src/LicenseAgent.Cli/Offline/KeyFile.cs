using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Keysets;

namespace LicenseAgent.Cli.Offline;

/// <summary>The key that signs an agent's checkpoints, and what else its file says.</summary>
/// <param name="AgentId">Null where the file is a key and nothing else.</param>
/// <param name="KeysetPin">What the license server's keys are checked against, from <c>agent.json</c>.</param>
internal sealed record AgentKey(EcPublicJwk SigningKey, string? AgentId, KeysetPin? KeysetPin);

/// <summary>Files with public keys: JWK, PEM, and those of the agent's state directory.</summary>
internal static class KeyFile
{
    // keysets.json of a till that is enrolled for decades.
    private const int BytesMax = 4 * 1024 * 1024;

    /// <summary>A JWK, a PEM, or <c>agent.json</c>.</summary>
    public static AgentKey ReadAgentKey(string path)
    {
        byte[] bytes = InputFile.Read(path, BytesMax);
        return Guard(path, "the agent's signing key as JWK or PEM, or its agent.json", () =>
        {
            if (IsPem(bytes) || IsJwk(bytes))
                return new AgentKey(ReadKey(bytes), null, null);
            AgentJson agent = StrictJson.Read(bytes, KeyFileJson.Lenient.AgentJson);
            return agent.Keys is null
                ? throw new ProtocolException("not_enrolled", "/keys")
                : new AgentKey(Checked(agent.Keys.Signing), agent.AgentId, agent.KeysetPin);
        });
    }

    /// <summary>The keys that may sign answers of the license server: a JWK, a PEM, or <c>keysets.json</c>.</summary>
    /// <param name="pin">Which keyset the chain must begin with; any, where nothing is known.</param>
    public static IReadOnlyDictionary<string, EcPublicJwk> ReadServerKeys(string path, KeysetPin? pin)
    {
        byte[] bytes = InputFile.Read(path, BytesMax);
        return Guard(path, "the license server's response key as JWK or PEM, or the agent's keysets.json", () =>
        {
            if (!bytes.AsSpan().TrimStart(" \t\r\n"u8).StartsWith("["u8))
            {
                EcPublicJwk key = ReadKey(bytes);
                return new Dictionary<string, EcPublicJwk> { [key.Thumbprint().ToString()] = key };
            }
            IReadOnlyList<SignedKeyset> chain = KeysetChain.Read(bytes);
            SignedKeyset first = chain.Count > 0 ? chain[0] : throw new ProtocolException("keyset_chain");
            KeysetChain.VerifyFromPin(
                chain, pin ?? new KeysetPin(first.Keyset.Version, first.PayloadSha256), Es256.Verify);

            // Receipts outlive the key that signed them, so every keyset's keys count.
            return chain.SelectMany(signed => signed.Keyset.Keys).Where(key => key.May(KeyScopes.Response))
                .DistinctBy(key => key.Kid).ToDictionary(key => key.Kid, key => key.PublicKey);
        });
    }

    private static T Guard<T>(string path, string wanted, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is ProtocolException or JsonException or CryptographicException
            or ArgumentException)
        {
            throw new UsageException($"{path} is not {wanted} ({e.Message}).");
        }
    }

    private static EcPublicJwk ReadKey(byte[] bytes)
    {
        if (!IsPem(bytes))
            return Checked(StrictJson.Read(bytes, KeyFileJson.Strict.EcPublicJwk));
        using ECDsa key = ECDsa.Create();
        key.ImportFromPem(Encoding.ASCII.GetString(bytes));
        return Checked(EcPublicJwk.From(key));
    }

    private static EcPublicJwk Checked(EcPublicJwk key)
    {
        using ECDsa point = key.ToEcdsa();
        return key;
    }

    private static bool IsPem(ReadOnlySpan<byte> bytes) => bytes.IndexOf("-----BEGIN "u8) >= 0;

    private static bool IsJwk(byte[] bytes)
    {
        using JsonDocument json = JsonDocument.Parse(bytes);
        return json.RootElement.ValueKind == JsonValueKind.Object && json.RootElement.TryGetProperty("kty", out _);
    }
}

/// <summary>What is read of <c>agent.json</c>; its secrets are passed over.</summary>
internal sealed record AgentJson(string AgentId, AgentJsonKeys? Keys, KeysetPin KeysetPin);

internal sealed record AgentJsonKeys(EcPublicJwk Signing);

[JsonSerializable(typeof(AgentJson))]
[JsonSerializable(typeof(EcPublicJwk))]
internal sealed partial class KeyFileJson : JsonSerializerContext
{
    public static KeyFileJson Lenient { get; } = new(StrictJson.IgnoreUnknown());

    public static KeyFileJson Strict { get; } = new(StrictJson.RefuseUnknown());
}
