namespace LicenseAgent.Daemon.Config;

/// <summary>
/// The validated configuration, immutable. One record a table of <c>config.toml</c>; member = key in PascalCase.
/// Durations are whole seconds in the file.
/// </summary>
internal sealed record AgentConfig(
    ServerConfig Server, IdentityConfig Agent, TpmConfig Tpm, PosConfig Pos, ManagementConfig Management,
    AuditConfig Audit, AlertsConfig Alerts, SecurityConfig Security, DegradedConfig Degraded, PathsConfig Paths);

/// <param name="Url">Base of the agent API; empty until enrolment brings it.</param>
/// <param name="CertPins">Of <c>cert_pin</c> and <c>cert_pins</c>; more come with the bundle and the keyset.</param>
/// <param name="CaCert">Path of a PEM file, or <see langword="null"/>: the bundle's.</param>
/// <param name="Timeout">An answer later than this is no contact.</param>
internal sealed record ServerConfig(
    string? Url, IReadOnlyList<string> CertPins, string? ClientCert, string? ClientKey, string? CaCert,
    TimeSpan Timeout);

/// <param name="Id">Empty until enrolment brings it; afterwards it must be the same.</param>
internal sealed record IdentityConfig(
    string? Id, TimeSpan RotationInterval, TimeSpan GracePeriod, TimeSpan OfflineAfter, TimeSpan CheckInInterval);

internal sealed record TpmConfig(bool Enabled, string Device, uint SigningHandle, uint DecryptionHandle);

/// <param name="Rate">Requests a second and UID.</param>
internal sealed record PosConfig(
    string Socket, IReadOnlyList<uint> AllowedUids, IReadOnlyList<uint> AllowedGids, int Rate, int Burst,
    int ConnectionsPerUid, int Connections, TimeSpan HeaderTimeout, TimeSpan IdleTimeout);

internal sealed record ManagementConfig(
    string Socket, IReadOnlyList<uint> AdminUids, IReadOnlyList<uint> ViewerUids);

internal sealed record AuditConfig(string Path, AuditFailure OnFailure);

/// <summary>What validations do while the audit log cannot be written.</summary>
internal enum AuditFailure
{
    Continue,
    Refuse,
}

internal sealed record AlertsConfig();

internal sealed record SecurityConfig();

/// <param name="Allowed">Where false, DEGRADED behaves as EXHAUSTED.</param>
internal sealed record DegradedConfig(bool Allowed);

internal sealed record PathsConfig(string State, string Logs, string Runtime);
