using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Json;

namespace LicenseAgent.Protocol.Local;

/// <summary>Answers of the local API, as clients read them: members of a newer agent are skipped.</summary>
[JsonSerializable(typeof(ValidateLicenseResponse))]
[JsonSerializable(typeof(RenewLicenseResponse))]
[JsonSerializable(typeof(Problem))]
[JsonSerializable(typeof(HealthResponse))]
public sealed partial class LocalAnswerJsonContext : JsonSerializerContext
{
    /// <summary>The context with the wire's rules.</summary>
    public static LocalAnswerJsonContext Wire { get; } = new(StrictJson.IgnoreUnknown());
}
