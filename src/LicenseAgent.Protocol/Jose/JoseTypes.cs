namespace LicenseAgent.Protocol.Jose;

/// <summary>
/// The <c>typ</c> of every JOSE object here. Each reader pins its own, so that a signature made for one purpose is
/// worth nothing for another (RFC 8725 §3.11).
/// </summary>
public static class JoseTypes
{
    /// <summary>Outer, encrypted part of a license token.</summary>
    public const string LicenseJwe = "license+jwe";

    /// <summary>Inner, signed part of a license token.</summary>
    public const string LicenseJwt = "license+jwt";

    /// <summary>A request of an agent.</summary>
    public const string AgentRequest = "agent-request+jwt";

    /// <summary>An answer of the license server.</summary>
    public const string ServerResponse = "server-response+jwt";

    /// <summary>A secret on its way to an agent's TPM.</summary>
    public const string SecretJwe = "secret+jwe";

    /// <summary>A set of server keys.</summary>
    public const string Keyset = "keyset+jwt";

    /// <summary>A checkpoint of the audit chain.</summary>
    public const string AuditCheckpoint = "audit-checkpoint+jwt";
}
