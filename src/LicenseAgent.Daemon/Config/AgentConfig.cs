using System.Collections.Frozen;
using System.Net;
using System.Text.Json.Serialization;

namespace LicenseAgent.Daemon.Config;

/// <summary>
/// The validated configuration, immutable. One record a table of <c>config.toml</c>; member = key in PascalCase.
/// Durations are whole seconds in the file.
/// </summary>
internal sealed record AgentConfig(
    ServerConfig Server, IdentityConfig Agent, TpmConfig Tpm, PosConfig Pos, ManagementConfig Management,
    AuditConfig Audit, DegradedConfig Degraded, PathsConfig Paths, SecurityConfig Security)
{
    public AlertsConfig Alerts { get; init; } = AlertsConfig.None;

    /// <summary>What is set, by <c>section.key</c>, as text to compare: a reload says what differs.</summary>
    [JsonIgnore]
    public IReadOnlyDictionary<string, string> Given { get; init; } = FrozenDictionary<string, string>.Empty;
}

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
/// <param name="Fallback">Software keys for a lost TPM; <see langword="null"/> where they are off.</param>
internal sealed record TpmConfig(
    string Device, uint SigningHandle, uint DecryptionHandle, FallbackConfig? Fallback = null);

/// <param name="Directory">Of the key storage.</param>
/// <param name="File">The storage's name in it.</param>
/// <param name="KeyFile">What opens the storage; to be kept apart from this disk.</param>
internal sealed record FallbackConfig(string Directory, string File, string KeyFile);

/// <param name="Rate">Requests a second and UID.</param>
/// <param name="RequestBytes">Largest body of a request.</param>
/// <param name="HeadBytes">Largest head of a request.</param>
internal sealed record PosConfig(
    string Socket, IReadOnlyList<uint> AllowedUids, IReadOnlyList<uint> AllowedGids, int Rate, int Burst,
    int ConnectionsPerUid, int Connections, TimeSpan HeaderTimeout, TimeSpan IdleTimeout,
    int RequestBytes, int HeadBytes);

/// <param name="AdminUids">Of <c>admin_uids</c>, or of <c>allowed_uids</c> where that stands alone.</param>
/// <param name="RequireCertificate">Nobody does anything without a session or a certificate.</param>
/// <param name="CaPem">Content of <c>ca_cert</c>: who signs operators' certificates.</param>
/// <param name="Crl">Content of <c>crl</c>.</param>
/// <param name="Https"><see langword="null"/>: the socket alone.</param>
internal sealed record ManagementConfig(
    string Socket, IReadOnlyList<uint> AdminUids, IReadOnlyList<uint> ViewerUids, bool RequireCertificate = false,
    byte[]? CaPem = null, byte[]? Crl = null, HttpsConfig? Https = null);

/// <summary>Management over HTTPS, on this machine alone.</summary>
/// <param name="Listen">A loopback address.</param>
/// <param name="ServerPem">Content of <c>https_cert</c> and <c>https_key</c>, the chain and the key to it.</param>
internal sealed record HttpsConfig(IPEndPoint Listen, byte[] ServerPem);

/// <param name="Retention">A closed file of the log is deleted once its last record is older.</param>
/// <param name="MaxBytes">The oldest closed files are deleted while all of them together are larger.</param>
/// <param name="SegmentBytes">The newest file is closed once it is as large.</param>
internal sealed record AuditConfig(
    string Path, AuditFailure OnFailure, TimeSpan Retention, long MaxBytes, long SegmentBytes);

/// <summary>What validations do while the audit log cannot be written.</summary>
internal enum AuditFailure
{
    Continue,
    Refuse,
}

/// <param name="WebhookUrl"><see langword="null"/>: alerts are in log, audit and status only.</param>
/// <param name="WebhookSecret">Content of <c>webhook_secret_file</c>, which signs what is sent.</param>
internal sealed record AlertsConfig(string? WebhookUrl, byte[] WebhookSecret)
{
    public static readonly AlertsConfig None = new(null, []);
}

/// <param name="Allowed">Where false, DEGRADED behaves as EXHAUSTED.</param>
internal sealed record DegradedConfig(bool Allowed);

/// <param name="Strict">Do not start where memory is not protected.</param>
internal sealed record SecurityConfig(bool Strict);

internal sealed record PathsConfig(string State, string Logs, string Runtime);
