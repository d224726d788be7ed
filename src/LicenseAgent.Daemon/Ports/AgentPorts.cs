using LicenseAgent.Protocol.Jose;

namespace LicenseAgent.Daemon.Ports;

/// <summary>Everything the agent touches outside itself. The simulator gives its own.</summary>
internal sealed record AgentPorts(
    ITpmKeys TpmKeys,
    ITpmMemory TpmMemory,
    ITpmClock TpmClock,
    Es256Verify VerifyEs256,
    IStateFiles StateFiles,
    IAuditFile AuditFile,
    IWorkItems WorkItems,
    IUpstream Upstream,
    IBootClock BootClock,
    IRandomness Randomness,
    TimeProvider Time,
    IWebhook? Webhook = null)
{
    /// <summary>Where <c>tpm.fallback</c> is on.</summary>
    public FallbackPorts? Fallback { get; init; }
}
