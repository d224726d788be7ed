using System.Reflection;
using LicenseAgent.Core;
using LicenseAgent.Daemon.LocalApi.Validation;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Management;

namespace LicenseAgent.Daemon.LocalApi.Operators;

/// <summary>The snapshot as operators see it; what follows from the time is that of the call.</summary>
internal static class StatusViews
{
    private static readonly string Version =
        typeof(StatusViews).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;

    public static StatusResponse Status(in Moment now, RecentLicenses recent)
    {
        AgentSnapshot snapshot = now.Snapshot;
        AgentMode mode = snapshot.Mode.At(now.TrustedNow);
        IReadOnlyList<SecretView> secrets = Current(snapshot, now.TrustedNow);
        TpmResponse tpm = snapshot.Status.Tpm;
        return new StatusResponse(
            snapshot.AgentId, ModeText.Of(mode), LockWord(mode, snapshot.Mode),
            secrets.FirstOrDefault(secret => secret.State == "ACTIVE"),
            [.. secrets.Where(secret => secret.State == "GRACE")],
            secrets.FirstOrDefault(secret => secret.State == "PENDING"),
            new TpmView(tpm.State, tpm.Manufacturer, tpm.Firmware, tpm.LockoutCounter, tpm.Generation),
            recent.Views(), snapshot.Status.NextRotation, snapshot.Status.LastContact, now.TrustedNow,
            snapshot.Status.Alerts, snapshot.Status.Protections, Version);
    }

    public static ClockResponse Clock(in Moment now, IBootClock boot)
    {
        SnapshotClock clock = now.Snapshot.Status.Clock;
        long bootMs = boot.BootMs;
        return new ClockResponse(
            now.TrustedNow, ClockText.Of(clock.Watch.Evidence), clock.Proven?.At(bootMs), now.WallClock,
            now.WallClock.UnixMs - now.TrustedNow.UnixMs,
            [
                .. clock.Watch.Judged.Select(judged => new ClockView(
                    ClockText.Of(judged.Clock), judged.Reading, judged.AheadMs, judged.SteadyMs / 1000,
                    ClockText.Of(judged.Verdict), ClockText.Why(judged.Verdict))),
            ],
            clock.Anchor?.ServerTime, clock.Anchor?.BootId == boot.BootId, clock.HighWater, clock.Watch.Mirror,
            clock.Watch.IsRunPutBack, clock.DoubtedMs / 1000, boot.BootId, bootMs, boot.AwakeMs);
    }

    public static SecretsResponse Secrets(in Moment now) => new(
        Current(now.Snapshot, now.TrustedNow), now.Snapshot.HighestVersion, now.Snapshot.Status.MinValidVersion);

    /// <summary>A GRACE secret past its end is invalidated, whether or not its entry has been removed yet.</summary>
    private static IReadOnlyList<SecretView> Current(AgentSnapshot snapshot, UtcTime trustedNow) =>
    [
        .. snapshot.Status.Secrets.Select(secret => secret.State == "GRACE" && trustedNow >= secret.GraceUntil
            ? secret with { State = "INVALIDATED" }
            : secret),
    ];

    private static string? LockWord(AgentMode mode, ModeFacts facts) =>
        mode == AgentMode.Locked && facts.ReasonWhenLocked is { } reason ? ModeText.Of(reason) : null;
}
