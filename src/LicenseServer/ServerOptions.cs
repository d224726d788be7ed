using System.Net;
using LicenseServer.Agents;

namespace LicenseServer;

/// <summary>Everything that <c>license-server</c> can be told. Built by <see cref="Commands.Settings"/>, or by who
/// hosts it.</summary>
public sealed record ServerOptions
{
    /// <summary>Holds the database and, unless <see cref="KeysFile"/> says otherwise, the key file.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>A key file kept elsewhere; it must exist. Null: <c>keys.json</c> in the data directory, made at first
    /// start.</summary>
    public string? KeysFile { get; init; }

    /// <summary>Certificate of the agent API, PEM.</summary>
    public required string TlsCertFile { get; init; }

    /// <summary>Its key, PEM.</summary>
    public required string TlsKeyFile { get; init; }

    /// <summary>The CA of agents: the only one under which client certificates are accepted.</summary>
    public required string AgentCaCertFile { get; init; }

    /// <summary>That CA's key, with which agents' certificates are signed at enrolment.</summary>
    public required string AgentCaKeyFile { get; init; }

    /// <summary>The CA of the server's own certificate, which bundles carry to the tills.</summary>
    public required string ServerCaCertFile { get; init; }

    /// <summary>The <c>iss</c> of licenses; also the name that agents check in the server's certificate.</summary>
    public string ServerName { get; init; } = "localhost";

    /// <summary>Where agents find this server. Null: https:// + server name + port of <see cref="Listen"/>.</summary>
    public Uri? PublicUrl { get; init; }

    /// <summary>The agent API; port 0 takes a free one.</summary>
    public IPEndPoint Listen { get; init; } = new(IPAddress.Loopback, 8443);

    /// <summary>/healthz, /readyz, /metrics in clear; keep it on loopback.</summary>
    public IPEndPoint ManagementListen { get; init; } = DefaultManagementListen;

    public Policy Policy { get; init; } = new();

    public RateLimitOptions RateLimit { get; init; } = new();

    /// <summary>Agent requests being worked on at once; more are answered 503 with Retry-After.</summary>
    public int ConcurrentRequestsMax { get; init; } = 256;

    /// <summary>Open connections; more are closed at once.</summary>
    public int ConnectionsMax { get; init; } = 4096;

    /// <summary>Whether agents whose TPM is lost go on with software keys without an operator's approval.</summary>
    public bool SoftwareFallbackAutomatic { get; init; }

    /// <summary>How long an enrolment bundle can be used.</summary>
    public TimeSpan BundleLifetime { get; init; } = TimeSpan.FromHours(24);

    /// <summary>An enrolment waits until an operator has compared the till's signing key: <c>agents approve</c>.
    /// </summary>
    public bool EnrollmentApproval { get; init; }

    internal static IPEndPoint DefaultManagementListen => new(IPAddress.Loopback, 8444);

    internal Uri UrlForAgents => PublicUrl ?? new Uri($"https://{ServerName}:{Listen.Port}");
}
