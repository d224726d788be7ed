using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Local;

namespace LicenseAgent.Protocol.Management;

/// <summary>Answers of the management API, as tools read them.</summary>
[JsonSerializable(typeof(StatusResponse))]
[JsonSerializable(typeof(SecretsResponse))]
[JsonSerializable(typeof(TpmResponse))]
[JsonSerializable(typeof(ClockResponse))]
[JsonSerializable(typeof(EnrollOutcome))]
[JsonSerializable(typeof(RotateOutcome))]
[JsonSerializable(typeof(InvalidateOutcome))]
[JsonSerializable(typeof(DegradedOutcome))]
[JsonSerializable(typeof(ReloadOutcome))]
[JsonSerializable(typeof(ChallengeOutcome))]
[JsonSerializable(typeof(SessionOutcome))]
[JsonSerializable(typeof(AuditPage))]
[JsonSerializable(typeof(AuditVerifyResponse))]
[JsonSerializable(typeof(Problem))]
[JsonSerializable(typeof(HealthResponse))]
public sealed partial class ManagementAnswerJsonContext : JsonSerializerContext
{
    /// <summary>The context with the wire's rules.</summary>
    public static ManagementAnswerJsonContext Wire { get; } = new(StrictJson.IgnoreUnknown());
}
