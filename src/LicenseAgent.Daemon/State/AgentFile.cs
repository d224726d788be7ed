using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Daemon.State;

/// <summary>How far an enrolment has come; each phase is durable before the next begins.</summary>
internal enum EnrollmentPhase
{
    /// <summary>The auth value of the keys is durable; the keys may or may not be in the TPM yet.</summary>
    MakingKeys,

    /// <summary>Keys exist and the enrolment's request id is fixed; the server may or may not know them.</summary>
    Enrolling,

    /// <summary>The server refused; the keys stay and serve the next bundle.</summary>
    Refused,

    /// <summary>The server has answered.</summary>
    Enrolled,
}

/// <summary>
/// <c>agent.json</c>: who this till is and what its TPM is known by. It holds the auth value of the TPM keys and the
/// audit key, and never leaves the state directory.
/// </summary>
/// <param name="KeyAuth">Auth value of both keys and the NV indices.</param>
/// <param name="AuditKey">Key of the token fingerprints in the audit log.</param>
/// <param name="Highest">Highest version of the enrolment answer.</param>
/// <param name="Counter">The NV counter when the server answered: before the first generation.</param>
internal sealed record AgentFile(
    int Format, EnrollmentPhase Phase, string AgentId,
    string ServerUrl, string ServerName, IReadOnlyList<string> Pins, string CaCert, KeysetPin KeysetPin,
    OpenEnrollment? Enrollment, TillKeys? Keys, Digest32 KeyAuth, Digest32 AuditKey,
    AgentPolicy? Policy, long Highest, long Counter)
{
    public const int CurrentFormat = 1;
    public const string Name = "agent.json";

    /// <summary>What the TPM is held to at every start.</summary>
    public TpmAnchor Anchor()
    {
        TillKeys keys = Keys ?? throw new StorageException(
            "agent_file_incomplete", "agent.json names no keys; enrol the till again.");
        byte[] auth = new byte[Digest32.Length];
        KeyAuth.CopyTo(auth);
        return new TpmAnchor(keys.SrkName, keys.SigningName, keys.DecryptionName, auth);
    }
}

/// <summary>An enrolment on its way: what a retry must repeat.</summary>
internal sealed record OpenEnrollment(Digest32 Token, string RequestId, UtcTime ExpiresAt);

/// <summary>The public keys and TPM Names of this till; Names in hex.</summary>
internal sealed record TillKeys(
    EcPublicJwk Signing, RsaPublicJwk Decryption, string SrkName, string SigningName, string DecryptionName);
