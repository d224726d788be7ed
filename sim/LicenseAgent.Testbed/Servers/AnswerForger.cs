using System.Text.Json.Nodes;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Messages;
using LicenseServer.Keys;

namespace LicenseAgent.Testbed.Servers;

/// <summary>
/// What a malicious server, or somebody on the way to it, makes of answers: old ones, other agents', unsigned ones, and,
/// with the server's own key, lies that are signed. Keeps the latest answers; not for more than one thread.
/// </summary>
internal sealed class AnswerForger
{
    private const int KeptMax = 64;
    private const int RevokedTooMany = 20_001;

    // From one flip of a fault to the next: it comes through header, payload and signature within a few answers.
    private const int FlipStride = 97;

    private readonly LinkedList<Kept> _kept = [];

    /// <summary>The key that answers are signed with; null: no lie of this forger is signed.</summary>
    public Func<SigningKey>? ResponseKey { get; set; }

    /// <summary>Remembers a signed answer of the server; anything else is none.</summary>
    public void Keep(string path, byte[] answer)
    {
        if (Read(answer) is not { } payload || (string?)payload["agent_id"] is not { } agentId)
            return;
        _kept.AddLast(new Kept(agentId, path, answer));
        if (_kept.Count > KeptMax)
            _kept.RemoveFirst();
    }

    /// <param name="answer">The true one, the latest that was kept.</param>
    /// <param name="turn">The how-manieth request of the fault it is, from 1: told again, a fault does the same again.
    /// </param>
    /// <returns>The lie, or the true answer where there is nothing to make one of.</returns>
    public byte[] Forge(ServerMalice malice, string path, byte[] answer, int turn)
    {
        if (malice == ServerMalice.Huge)
            return [.. answer, .. new byte[AgentApiLimits.AnswerBytes + 1 - answer.Length]];
        if (Read(answer) is not { } payload)
            return answer;
        string? agentId = (string?)payload["agent_id"];
        return malice switch
        {
            ServerMalice.Replay => Latest(k => k.AgentId == agentId && k.Path == path && k.Answer != answer)
                ?? answer,
            ServerMalice.CrossAgent => Latest(k => k.AgentId != agentId && k.Path == path)
                ?? Signed(payload, "agent_id", "another"),
            ServerMalice.Unsigned => System.Text.Encoding.UTF8.GetBytes(payload.ToJsonString()),
            ServerMalice.Flipped => Flipped(answer, turn),
            ServerMalice.Downgrade when payload.ContainsKey("secret_version") => Signed(payload, "secret_version", 0),
            ServerMalice.RevokeStorm when payload.ContainsKey("directives") => Signed(payload, "revocations", Storm()),
            _ => answer,
        };
    }

    private static JsonObject? Read(byte[] answer) =>
        CompactJws.TryParse(answer, JoseTypes.ServerResponse, AgentApiLimits.AnswerBytes, out ParsedJws? jws)
            ? JsonNode.Parse(jws.Payload) as JsonObject
            : null;

    private static byte[] Flipped(byte[] answer, int turn)
    {
        byte[] flipped = (byte[])answer.Clone();
        flipped[(int)((long)turn * FlipStride % flipped.Length)] ^= 1;
        return flipped;
    }

    private static JsonObject Storm() => new()
    {
        ["version"] = 1_000_000,
        ["license_ids"] = new JsonArray([.. Enumerable.Range(0, RevokedTooMany).Select(i => (JsonNode)$"lic-{i}")]),
    };

    private byte[] Signed(JsonObject payload, string member, JsonNode lie)
    {
        if (ResponseKey is not { } key)
            throw new InvalidOperationException("A lie is to be signed, and nobody gave the server's key.");
        payload[member] = lie;
        byte[] said = System.Text.Encoding.UTF8.GetBytes(payload.ToJsonString());
        return CompactJws.Create(new JwsHeader(key().Kid, JoseTypes.ServerResponse), said, data => key().Sign(data));
    }

    private byte[]? Latest(Func<Kept, bool> wanted) => _kept.LastOrDefault(wanted)?.Answer;

    private sealed record Kept(string AgentId, string Path, byte[] Answer);
}
