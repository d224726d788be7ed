using LicenseAgent.Protocol.Jose;

namespace LicenseAgent.Client;

/// <summary>How a <see cref="LicenseAgentClient"/> reaches the agent and what it believes.</summary>
public sealed record LicenseAgentClientOptions
{
    /// <summary>Where the agent listens unless its configuration says otherwise.</summary>
    public const string DefaultSocketPath = "/run/license-agent/pos.sock";

    /// <summary>
    /// The vendor's license-signing keys, compiled into the application; <see cref="LicenseAgent.Client.VendorKeys"/>.
    /// A yes of the agent counts only with a license signed by one of them, so that another program in the agent's
    /// place cannot say yes. An empty list believes whoever listens on the socket.
    /// </summary>
    public required IReadOnlyList<EcPublicJwk> VendorKeys { get; init; }

    /// <summary>The application socket.</summary>
    public string SocketPath { get; init; } = DefaultSocketPath;

    /// <summary>Longest wait for an answer.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Most connections at a time; the agent admits 64 per user, all programs together.</summary>
    public int ConnectionsMax { get; init; } = 8;

    /// <summary>The application's token, for <see cref="LicenseAgentClient.ValidateStoredAsync"/>.</summary>
    public ILicenseTokenStore? TokenStore { get; init; }

    /// <summary>
    /// How far the wall clock may be past the end of a license that the agent calls valid. The agent knows the time
    /// better than the wall clock; this only keeps something in its place from showing an old license for ever.
    /// </summary>
    public TimeSpan ExpiryLeeway { get; init; } = TimeSpan.FromHours(48);

    /// <summary>The wall clock for <see cref="ExpiryLeeway"/>.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;
}
