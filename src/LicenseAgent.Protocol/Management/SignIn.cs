using System.Globalization;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Management;

/// <summary>Outcome of <c>POST /v1/auth/challenge</c>: to be signed on the same connection, once.</summary>
/// <param name="Challenge">32 bytes.</param>
/// <param name="AgentId">Part of what is signed; empty before enrolment.</param>
public sealed record ChallengeOutcome(Digest32 Challenge, string AgentId, UtcTime ExpiresAt);

/// <summary><c>POST /v1/auth/session</c>.</summary>
/// <param name="CertificateChain">DER, base64url; the operator's first, then what leads to the authority.</param>
/// <param name="Signature">ES256 (64 bytes, r ‖ s) or PS256, over <see cref="SignInText.Of"/>.</param>
public sealed record SessionCall(IReadOnlyList<string> CertificateChain, string Signature);

/// <summary>Outcome of <c>POST /v1/auth/session</c>.</summary>
/// <param name="Session">32 bytes, sent as <c>Authorization: Bearer</c> by the same UID.</param>
/// <param name="Role">The lower of the certificate's and the UID's.</param>
public sealed record SessionOutcome(Digest32 Session, string Role, UtcTime ExpiresAt);

/// <summary>What an operator's key signs to begin a session.</summary>
public static class SignInText
{
    /// <summary>ASCII <c>license-agent/management/v1|&lt;agent_id&gt;|&lt;uid&gt;|&lt;challenge&gt;</c>.</summary>
    public static byte[] Of(string agentId, uint uid, Digest32 challenge) => System.Text.Encoding.ASCII.GetBytes(
        string.Create(CultureInfo.InvariantCulture, $"license-agent/management/v1|{agentId}|{uid}|{challenge}"));
}
