using LicenseAgent.Core;
using LicenseAgent.Daemon.Metrics;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Daemon.Loop;

/// <summary>Shows the state as gauges.</summary>
internal static class GaugeBoard
{
    public static AgentGauges Of(AgentState state, UtcTime trusted, UtcTime? certificateExpiry, bool auditOk)
    {
        ModeFacts facts = Views.Facts(state);
        int grace = state.Bound?.Grace.Count(s => trusted < s.GraceUntil) ?? 0;
        return new AgentGauges(
            facts.At(trusted), Views.Active(state) is null ? 0 : 1, grace,
            state.Tpm is TpmHealth.Ok or TpmHealth.Unknown, state.Run.LastRotation, facts.ValidUntil,
            facts.EffectiveEnd, certificateExpiry, state.Run.FailedInARow, auditOk)
        {
            SoftwareFallback = Views.SoftwareActive(state) is not null,
        };
    }
}
