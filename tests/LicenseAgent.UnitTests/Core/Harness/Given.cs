using System.Collections.Immutable;
using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.UnitTests.Core;

/// <summary>The till all tests of the core speak of, and the answers its server gives.</summary>
internal static class Given
{
    public const string AgentId = "pos-001";

    public static readonly UtcTime Start = Time("2026-03-01T00:00:00.000Z");

    public static readonly CoreSettings Settings = new(
        RotationInterval: TimeSpan.FromDays(1), GracePeriod: TimeSpan.FromDays(7),
        OfflineAfter: TimeSpan.FromHours(24), CheckInInterval: TimeSpan.FromSeconds(900),
        DegradedAllowed: true, BuildTime: Time("2026-01-01T00:00:00.000Z"), ProgramVersion: "0.1.0");

    public static readonly Identity Identity = new(AgentId, new AgentPolicy(86_400, 604_800, 900));

    public static readonly FileReference Keyset = new(1, Digest32.Sha256("keyset"u8));

    public static UtcTime Time(string text) =>
        UtcTime.TryParse(text, out UtcTime time) ? time : throw new ArgumentException(text);

    /// <summary>The key check value of a version: one secret a version, as at the server.</summary>
    public static Kcv Kcv(long version) => LicenseAgent.Protocol.Encoding.Kcv.From(Bytes($"{version:D8}").AsSpan(0, 8));

    /// <summary>The hash of a version's file; <paramref name="copy"/> tells apart what was wrapped anew.</summary>
    public static Digest32 File(long version, int copy = 0) => Digest32.Sha256(Bytes($"file-{version}-{copy}"));

    public static SecretEntry Active(long version, UtcTime? from = null)
    {
        UtcTime start = from ?? Start;
        return new SecretEntry(
            version, SecretState.Active, Kcv(version), File(version), start, start,
            start + TimeSpan.FromDays(2), start + TimeSpan.FromDays(9));
    }

    public static SecretEntry Grace(long version, UtcTime until) =>
        Active(version, Start - TimeSpan.FromDays(1)) with { State = SecretState.Grace, GraceUntil = until };

    public static BoundState Bound(params SecretEntry[] secrets) => new(
        BoundState.CurrentFormat, 7, AgentId, [.. secrets], secrets.Length == 0 ? 0 : secrets.Max(s => s.Version),
        0, null, false, null, Keyset, Start);

    /// <summary>A run state as it stands beside a settled bound one, in contact at <see cref="Start"/>.</summary>
    public static RunState Run(BoundState bound) => RunState.Empty with
    {
        Highest = bound.HighestVersionSeen,
        LastContact = Start,
        LastRotation = bound.Active?.ValidFrom,
        HighWater = new HighWater(Start, "boot-1", CoreDriver.FirstBootMs),
        Anchor = new TimeAnchor(Start, "boot-1", CoreDriver.FirstBootMs),
        Levels = Levels.None with { MinValidVersion = bound.MinValidVersion, Suspended = bound.Suspended },
        Mode = "NORMAL",
    };

    public static PendingSecret Pending(long version, bool confirmSent, bool recovery = false) => new(
        Active(version) with { State = SecretState.Pending }, Start + TimeSpan.FromHours(1),
        $"confirm-{version}", confirmSent, recovery);

    public static RotateSecretAnswer Prepared(
        long version, UtcTime time, string requestId = "r", UtcTime? confirmBy = null) => new(
        AgentId, requestId, default, AgentActions.RotateSecret, time, version, Kcv(version), "jwe",
        time, time + TimeSpan.FromDays(2), time + TimeSpan.FromDays(9), confirmBy ?? time + TimeSpan.FromHours(1));

    public static ConfirmRotationAnswer Confirmed(
        long version, UtcTime time, long minValid = 0, params PreviousVersion[] previous) => new(
        AgentId, "r", default, AgentActions.ConfirmRotation, time, version, time, time + TimeSpan.FromDays(2),
        time + TimeSpan.FromDays(9), previous, minValid);

    public static RejectRotationAnswer Rejected(long version, UtcTime time) =>
        new(AgentId, "r", default, AgentActions.RejectRotation, time, version);

    public static LicenseRenewalAnswer RenewedLicense(UtcTime time) =>
        new(AgentId, "r", default, AgentActions.RenewLicense, time, "renewed", 2);

    public static CheckInAnswer CheckedIn(
        UtcTime time, Directive[]? directives = null, RevocationList? revocations = null, int nextS = 0) => new(
        AgentId, "r", default, AgentActions.CheckIn, time, directives ?? [], 1,
        new Witness(1, Digest32.Sha256("head"u8), false), nextS, revocations);

    public static RenewCertificateAnswer Renewed(UtcTime time) =>
        new(AgentId, "r", default, AgentActions.RenewCertificate, time, ["MIIB"]);

    public static RefusalAnswer Refused(
        string error, UtcTime time, int? retryAfterS = null, long? active = null, long? highest = null) =>
        new(AgentId, "r", default, "any", time, error, "because", retryAfterS, active, highest);

    private static byte[] Bytes(string text) => System.Text.Encoding.ASCII.GetBytes(text);
}
