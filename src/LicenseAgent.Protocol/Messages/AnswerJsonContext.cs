using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Json;

namespace LicenseAgent.Protocol.Messages;

/// <summary>Signed answers of the server: members of a newer server are skipped.</summary>
[JsonSerializable(typeof(RotateSecretAnswer))]
[JsonSerializable(typeof(ConfirmRotationAnswer))]
[JsonSerializable(typeof(RejectRotationAnswer))]
[JsonSerializable(typeof(CheckInAnswer))]
[JsonSerializable(typeof(EnrollAnswer))]
[JsonSerializable(typeof(LicenseValidationAnswer))]
[JsonSerializable(typeof(LicenseRenewalAnswer))]
[JsonSerializable(typeof(SecretStatusAnswer))]
[JsonSerializable(typeof(RenewCertificateAnswer))]
[JsonSerializable(typeof(RefusalAnswer))]
public sealed partial class AnswerJsonContext : JsonSerializerContext
{
    /// <summary>The context with the wire's rules.</summary>
    public static AnswerJsonContext Wire { get; } = new(StrictJson.IgnoreUnknown());
}
