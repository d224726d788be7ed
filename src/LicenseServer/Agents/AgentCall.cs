using System.Security.Cryptography.X509Certificates;

namespace LicenseServer.Agents;

/// <summary>One request to the agent API, as far as it matters to it.</summary>
/// <param name="Certificate">The client certificate of the connection, whose chain the TLS listener has
/// checked.</param>
/// <param name="Remote">The address it came from; only limits of enrolment look at it.</param>
internal sealed record AgentCall(
    string Method, string Path, string? Query, string? ContentType, X509Certificate2? Certificate, string Remote,
    ReadOnlyMemory<byte> Body);

/// <summary>The answer: <c>application/jose</c> when it is signed.</summary>
internal sealed record AgentReply(int Status, string ContentType, byte[] Body, int? RetryAfterS = null);
