using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Json;

namespace LicenseAgent.Protocol.Enrolment;

/// <summary>The enrolment bundle: unknown members are refused.</summary>
[JsonSerializable(typeof(EnrollmentBundle))]
public sealed partial class BundleJsonContext : JsonSerializerContext
{
    /// <summary>The context with the wire's rules.</summary>
    public static BundleJsonContext Wire { get; } = new(StrictJson.RefuseUnknown());
}
