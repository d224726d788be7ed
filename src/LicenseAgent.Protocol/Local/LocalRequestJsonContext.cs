using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Json;

namespace LicenseAgent.Protocol.Local;

/// <summary>Requests of applications: unknown members are refused.</summary>
[JsonSerializable(typeof(ValidateLicenseRequest))]
[JsonSerializable(typeof(RenewLicenseRequest))]
public sealed partial class LocalRequestJsonContext : JsonSerializerContext
{
    /// <summary>The context with the wire's rules.</summary>
    public static LocalRequestJsonContext Wire { get; } = new(StrictJson.RefuseUnknown());
}
