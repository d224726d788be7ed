using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Management;

namespace LicenseAgent.UnitTests.Cli;

/// <summary>A till in the middle of its life, at <see cref="Now"/>.</summary>
internal static class SampleAnswers
{
    public const string Thumbprint = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";

    public static UtcTime Now { get; } = Time("2026-11-03T09:00:00.000Z");

    public static SecretView Active { get; } = Secret(7, "ACTIVE", 1);

    public static SecretView Grace { get; } = Secret(6, "GRACE", 0);

    public static SecretView Pending { get; } = Secret(8, "PENDING", 2);

    public static StatusResponse Status { get; } = new(
        "pos-001", "NORMAL", null, Active, [Grace], null,
        new TpmView("ok", "IBM", "7.3.1", 0, 12),
        [new LicenseView("LIC-2026-0001", "Till Pro", Now + Days(300), "VALID", Now - TimeSpan.FromSeconds(4))],
        Now + new TimeSpan(3, 12, 0), Now - new TimeSpan(0, 4, 7), Now, [],
        [new ProtectionView("memory_locked", true, "secret pages are kept out of swap", null)], "0.1.0");

    public static AlertView Alert { get; } = new(
        "rotation_failing", "error", Now - TimeSpan.FromHours(5),
        "4 rotation attempts failed in a row. Check the way to the license server.");

    public static SecretsResponse Secrets { get; } = new([Grace, Active], 7, 1);

    public static TpmResponse Tpm { get; } = new(
        "ok", "swtpm:unix:/run/tpm.sock", "IBM", "7.3.1", 0, 12, 93_784_000, 3, 1, Thumbprint, "0x81018A01",
        "0x81018A02", "000b0102", null);

    public static ClockResponse Clock { get; } = new(
        Now, "anchor", Now, Now + TimeSpan.FromDays(3), 259_200_000,
        [
            new ClockView(
                "wall_clock", Now + TimeSpan.FromDays(3), 259_200_000, 3_720, "too_far_ahead", "Contact decides."),
        ],
        Now - TimeSpan.FromMinutes(7), true, Now - TimeSpan.FromSeconds(30), Now - TimeSpan.FromHours(2), false, 5_400,
        "6b3c1d2e-0000-4000-8000-000000000001", 7_200_000, 7_200_000);

    public static HealthResponse Health { get; } = new("READY", "NORMAL", Now + Days(8));

    public static AuditVerifyResponse GoodLog { get; } = new(true, 1, 117, Digest32.Sha256("head"u8), 3, 0, []);

    public static AuditVerifyResponse BadLog { get; } = GoodLog with
    {
        Ok = false,
        Findings = [new AuditFinding("audit.log", 42, "altered", "The bytes of this line do not have its hash.")],
    };

    public static ValidateLicenseResponse ValidLicense { get; } = new(
        true, "VALID", default, "NORMAL", "tpm", "LIC-2026-0001", "Till Pro", Now + Days(300), ["fiscal", "loyalty"],
        new Dictionary<string, string> { ["shop"] = "Main Street" }, 7, Now + Days(8), "head.payload.signature");

    public const string Metrics =
        """
        # HELP license_agent_audit_seq Sequence number of the newest audit record.
        # TYPE license_agent_audit_seq gauge
        license_agent_audit_seq 0
        # HELP license_agent_last_rotation Unix time of the last completed rotation.
        # TYPE license_agent_last_rotation gauge
        license_agent_last_rotation 1793696400
        # HELP license_agent_validation_duration_seconds Time to answer a validation.
        # TYPE license_agent_validation_duration_seconds histogram
        license_agent_validation_duration_seconds_bucket{le="0.001"} 12
        license_agent_validation_duration_seconds_sum 0.018
        license_agent_validation_duration_seconds_count 12
        license_agent_validation_failures_total{reason="EXPIRED"} 2

        """;

    public static UtcTime Time(string text) =>
        UtcTime.TryParse(text, out UtcTime time) ? time : throw new ArgumentException(text, nameof(text));

    public static TimeSpan Days(int days) => TimeSpan.FromDays(days);

    private static SecretView Secret(long version, string state, int day) => new(
        version, state, Kcv.From([1, 2, 3, 4, 5, 6, 7, (byte)version]), Now + Days(day - 1), Now + Days(day - 1),
        Now + Days(day), Now + Days(day + 7));
}
