using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Json;

namespace LicenseAgent.Protocol.Messages;

/// <summary>Requests of agents: unknown members are refused.</summary>
[JsonSerializable(typeof(RotateSecretRequest))]
[JsonSerializable(typeof(ConfirmRotationRequest))]
[JsonSerializable(typeof(RejectRotationRequest))]
[JsonSerializable(typeof(CheckInRequest))]
[JsonSerializable(typeof(EnrollRequest))]
[JsonSerializable(typeof(LicenseValidationRequest))]
[JsonSerializable(typeof(LicenseRenewalRequest))]
[JsonSerializable(typeof(RenewCertificateRequest))]
public sealed partial class RequestJsonContext : JsonSerializerContext
{
    /// <summary>The context with the wire's rules.</summary>
    public static RequestJsonContext Wire { get; } = new(StrictJson.RefuseUnknown());
}
