using System.Buffers;
using System.Text.Json;
using LicenseAgent.Daemon.LocalApi.Operators;
using LicenseAgent.Protocol.Local;

namespace LicenseAgent.Daemon.LocalApi;

/// <summary>Refusals as RFC 9457 problems: a stable code for programs, the fact and the remedy for people.</summary>
internal static class Problems
{
    public const string ContentType = "application/problem+json";

    public static Problem BadRequest(string detail, string? member) =>
        Of(400, ProblemCodes.BadRequest, "Bad request", detail) with { Member = member };

    public static Problem PeerNotAllowed { get; } = Of(
        403, ProblemCodes.PeerNotAllowed, "Peer not allowed",
        "This user may not use this socket; an administrator lists users in the agent's configuration.");

    public static Problem RoleTooLow { get; } = Of(
        403, ProblemCodes.PeerNotAllowed, "Role too low",
        "This call needs a higher role than the caller has: management.admin_uids lists who is an admin, and a "
        + "certificate that is used has its own role.");

    public static Problem CertificateRequired { get; } = Of(
        401, ProblemCodes.CertificateRequired, "Certificate required",
        "management.require_certificate is set: sign in with a certificate (license-agent-cli --auth-cert FILE).");

    public static Problem SessionEnded { get; } = Of(
        401, ProblemCodes.SessionEnded, "Session ended",
        "This is no session of this user, or it has ended: sign in again.");

    public static Problem NotFound { get; } = Of(
        404, ProblemCodes.NotFound, "Not found", "There is no such path; GET /v1/openapi.json lists them.");

    public static Problem MethodNotAllowed { get; } = Of(
        405, ProblemCodes.MethodNotAllowed, "Method not allowed", "The Allow header names the method of this path.");

    public static Problem UnsupportedMediaType { get; } = Of(
        415, ProblemCodes.UnsupportedMediaType, "Unsupported media type", "Send Content-Type: application/json.");

    public static Problem TooLarge { get; } = Of(
        413, ProblemCodes.TooLarge, "Too large",
        "The request body is larger than this agent takes; pos.request_bytes is the limit.");

    public static Problem NonceReplayed { get; } = Of(
        409, ProblemCodes.NonceReplayed, "Nonce replayed", "Each request needs 16 fresh random bytes as its nonce.");

    public static Problem RateLimited { get; } = Of(
        429, ProblemCodes.RateLimited, "Rate limited", "Wait as long as Retry-After says.");

    public static Problem NonceStoreFull { get; } = Of(
        429, ProblemCodes.RateLimited, "Rate limited",
        "More nonces were used in the last 900 s than are remembered; wait as long as Retry-After says.");

    public static Problem TooManyConnections { get; } = Of(
        503, ProblemCodes.TooManyConnections, "Too many connections",
        "Close connections that are not needed, or keep one and use it again.");

    public static Problem SignInRefused(string detail) =>
        Of(403, ProblemCodes.SignInRefused, "Sign-in refused", detail);

    public static Problem Conflict(string detail) => Of(409, ProblemCodes.Conflict, "Conflict", detail);

    public static Problem NotReady(string detail) => Of(503, ProblemCodes.NotReady, "Not ready", detail);

    public static LocalAnswer Write(
        Problem problem, IBufferWriter<byte> body, int retryAfterSeconds = 0, string? allow = null)
    {
        using var writer = new Utf8JsonWriter(body);
        JsonSerializer.Serialize(writer, problem, LocalAnswerJsonContext.Wire.Problem);
        return new LocalAnswer(problem.Status, ContentType, retryAfterSeconds, allow);
    }

    private static Problem Of(int status, string code, string title, string detail) =>
        new("about:blank", title, status, code, detail);
}
