using System.Text.Json.Nodes;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Sim.World.Faults;

namespace LicenseAgent.Sim.World.Server;

/// <summary>What a malicious server signs. The agent is to refuse it, as it refuses the real server's lies.</summary>
internal sealed partial class SimServer
{
    /// <returns><see langword="null"/>: the answer is none to make such a lie of.</returns>
    public ServerReply? Lie(Forgery how, ServerReply reply)
    {
        if (!CompactJws.TryParse(reply.Body, JoseTypes.ServerResponse, AgentApiLimits.AnswerBytes, out ParsedJws? jws))
        {
            return null;
        }

        JsonObject payload = JsonNode.Parse(jws.Payload)!.AsObject();
        if (how == Forgery.Downgrade && payload["secret_version"] is { } version)
        {
            // The one before, which the till held or holds.
            payload["secret_version"] = (long)version - 1;
        }
        else if (how == Forgery.RevokeStorm && payload.ContainsKey("directives"))
        {
            payload["revocations"] = new JsonObject
            {
                ["version"] = 1_000_000,
                ["license_ids"] = new JsonArray(
                    [.. Enumerable.Range(0, AgentApiLimits.RevokedLicenses + 1).Select(i => (JsonNode)$"lic-{i}")]),
            };
        }
        else
        {
            return null;
        }

        return reply with
        {
            Body = _identity.SignAnswer(System.Text.Encoding.UTF8.GetBytes(payload.ToJsonString())),
        };
    }
}
