namespace LicenseAgent.Daemon.Config;

/// <summary>
/// The validated configuration, immutable. One record a table of <c>config.toml</c>; member = key in PascalCase.
/// Durations are whole seconds in the file.
/// </summary>
internal sealed record AgentConfig(
    ServerConfig Server, IdentityConfig Agent, TpmConfig Tpm, PosConfig Pos, ManagementConfig Management,
    AuditConfig Audit, DegradedConfig Degraded, PathsConfig Paths);

/// <param name="Url">Base of the agent API; <see langword="null"/> until enrolment brings it.</param>
/// <param name="CertPins">Of <c>cert_pin</c> and <c>cert_pins</c>; more come with the bundle and the keyset.</param>
/// <param name="ClientPem">
/// Content of <c>client_cert</c> and <c>client_key</c>, used only while the agent has no certificate of its own.
/// </param>
/// <param name="CaPem">Content of <c>ca_cert</c>, or <see langword="null"/>: the bundle's.</param>
/// <param name="Timeout">An answer later than this is no contact.</param>
internal sealed record ServerConfig(
    string? Url, IReadOnlyList<string> CertPins, byte[]? ClientPem, byte[]? CaPem, TimeSpan Timeout);

/// <param name="Id"><see langword="null"/> until enrolment brings it; afterwards it must be the same.</param>
internal sealed record IdentityConfig(
    string? Id, TimeSpan RotationInterval, TimeSpan GracePeriod, TimeSpan OfflineAfter, TimeSpan CheckInInterval);

/// <param name="Device">What <c>TpmAddress</c> reads.</param>
internal sealed record TpmConfig(string Device, uint SigningHandle, uint DecryptionHandle);

/// <param name="Rate">Requests a second and UID.</param>
internal sealed record PosConfig(
    string Socket, IReadOnlyList<uint> AllowedUids, IReadOnlyList<uint> AllowedGids, int Rate, int Burst,
    int ConnectionsPerUid, int Connections, TimeSpan HeaderTimeout, TimeSpan IdleTimeout);

/// <param name="AdminUids">Of <c>admin_uids</c>, or of <c>allowed_uids</c> where that stands alone.</param>
internal sealed record ManagementConfig(
    string Socket, IReadOnlyList<uint> AdminUids, IReadOnlyList<uint> ViewerUids);

internal sealed record AuditConfig(string Path, AuditFailure OnFailure);

/// <summary>What validations do while the audit log cannot be written.</summary>
internal enum AuditFailure
{
    Continue,
    Refuse,
}

/// <param name="Allowed">Where false, DEGRADED behaves as EXHAUSTED.</param>
internal sealed record DegradedConfig(bool Allowed);

internal sealed record PathsConfig(string State, string Logs, string Runtime);
