using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Management;

/// <summary>One secret as people may see it; never its bytes.</summary>
/// <param name="State">PENDING, ACTIVE, GRACE or INVALIDATED.</param>
/// <param name="Kcv">Key check value, to compare with the server's.</param>
/// <param name="Created">When this agent staged it.</param>
public sealed record SecretView(
    long Version, string State, Kcv Kcv, UtcTime Created, UtcTime ValidFrom, UtcTime ValidUntil, UtcTime GraceUntil);

/// <summary>The TPM in a word and its identity.</summary>
/// <param name="State">ok, unavailable, lockout, replaced or off.</param>
public sealed record TpmView(
    string State, string? Manufacturer, string? Firmware, long? LockoutCounter, long? Generation);

/// <summary>A license that was presented lately.</summary>
/// <param name="Reason">The last answer's reason.</param>
public sealed record LicenseView(
    string LicenseId, string Product, UtcTime ExpiresAt, string Reason, UtcTime LastSeen);

/// <summary>A condition that holds now and wants somebody's attention.</summary>
/// <param name="Id">Stable name, snake_case.</param>
/// <param name="Detail">The fact and the remedy.</param>
public sealed record AlertView(string Id, string Severity, UtcTime Since, string Detail);

/// <summary>One thing that keeps secrets inside the agent's process, as found at start.</summary>
/// <param name="Name">Stable name, snake_case.</param>
/// <param name="Remedy">Where it does not hold.</param>
public sealed record ProtectionView(string Name, bool Holds, string Detail, string? Remedy);

/// <summary><c>GET /v1/status</c>.</summary>
/// <param name="LicenseStatus">At most 64, latest first.</param>
/// <param name="NextRotation">When the agent will ask for the next secret; <see langword="null"/> before
/// enrolment.</param>
/// <param name="LastContact">Last authenticated answer of the server.</param>
/// <param name="Version">Of the agent program.</param>
public sealed record StatusResponse(
    string AgentId, string Mode, string? LockReason,
    SecretView? ActiveSecret, IReadOnlyList<SecretView> GraceSecrets, SecretView? PendingSecret,
    TpmView TpmStatus, IReadOnlyList<LicenseView> LicenseStatus,
    UtcTime? NextRotation, UtcTime? LastContact, UtcTime TrustedNow, IReadOnlyList<AlertView> Alerts,
    IReadOnlyList<ProtectionView> MemoryProtection, string Version);

/// <summary><c>GET /v1/secrets</c>.</summary>
public sealed record SecretsResponse(
    IReadOnlyList<SecretView> Secrets, long HighestVersionSeen, long MinValidVersion);

/// <summary><c>GET /v1/tpm</c>.</summary>
/// <param name="SigningKey">Thumbprint of the request-signing key.</param>
/// <param name="SrkName">Name of the storage root key, hex.</param>
public sealed record TpmResponse(
    string State, string Device, string? Manufacturer, string? Firmware,
    long? LockoutCounter, long? Generation, long? ClockMs, long? ResetCount, long? RestartCount,
    string? SigningKey, string? SigningHandle, string? DecryptionHandle, string? SrkName, string? LastError)
{
    /// <summary>Whether the owner hierarchy has a password; <see langword="null"/> while it was not read.</summary>
    public bool? OwnerAuthSet { get; init; }

    /// <summary>What a lost TPM leads to by the configuration: <c>off</c> or <c>on_loss</c>.</summary>
    public string Fallback { get; init; } = "off";
}
