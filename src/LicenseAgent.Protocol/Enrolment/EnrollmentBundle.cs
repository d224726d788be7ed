using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Keysets;

namespace LicenseAgent.Protocol.Enrolment;

/// <summary>
/// The file that <c>license-server agents add</c> writes (mode 0600) and an operator carries to the till. It holds an
/// enrolment token that works once: treat it as a password.
/// </summary>
/// <param name="Format">1.</param>
/// <param name="ServerUrl">Base of the agent API, <c>https://host:port</c>.</param>
/// <param name="ServerName">The name the server's certificate and the tokens' <c>iss</c> carry.</param>
/// <param name="Pins">Accepted server key pins, <c>sha256:…</c>.</param>
/// <param name="CaCert">DER of the CA that signs the server certificate, base64url.</param>
/// <param name="EnrollmentToken">32 bytes.</param>
public sealed record EnrollmentBundle(
    int Format, string AgentId, string ServerUrl, string ServerName, IReadOnlyList<string> Pins, string CaCert,
    KeysetPin Keyset, Digest32 EnrollmentToken, UtcTime ExpiresAt);
