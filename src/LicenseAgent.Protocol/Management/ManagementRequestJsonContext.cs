using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Local;

namespace LicenseAgent.Protocol.Management;

/// <summary>Requests of operators: unknown members are refused.</summary>
[JsonSerializable(typeof(EnrollCall))]
[JsonSerializable(typeof(InvalidateCall))]
[JsonSerializable(typeof(DegradedCall))]
[JsonSerializable(typeof(SessionCall))]
public sealed partial class ManagementRequestJsonContext : JsonSerializerContext
{
    /// <summary>The context with the wire's rules.</summary>
    public static ManagementRequestJsonContext Wire { get; } = new(StrictJson.RefuseUnknown());
}
