using System.Buffers;
using System.Text.Json;
using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Local;

namespace LicenseAgent.Daemon.LocalApi;

/// <summary><c>GET /v1/health</c>: whether a good token would be VALID now, not whether the process lives.</summary>
internal static class HealthAnswer
{
    public static LocalAnswer Write(
        AgentSnapshot snapshot, UtcTime trustedNow, bool recordsFail, IBufferWriter<byte> body)
    {
        AgentMode mode = snapshot.Mode.At(trustedNow);
        UtcTime? until = recordsFail || snapshot.Active is not { } active || trustedNow >= active.End
            ? null
            : snapshot.Mode.UsableUntil(trustedNow);
        string status = until is null ? "NOT_READY" : mode == AgentMode.Degraded ? "DEGRADED" : "READY";
        using var writer = new Utf8JsonWriter(body);
        JsonSerializer.Serialize(
            writer, new HealthResponse(status, ModeText.Of(mode), until), LocalAnswerJsonContext.Wire.HealthResponse);
        return new LocalAnswer(until is null ? 503 : 200, LocalAnswer.Json);
    }
}
