using System.Text.Json.Serialization;

namespace LicenseAgent.Cli.Doctor;

/// <summary>How much a check found.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<Level>))]
internal enum Level
{
    [JsonStringEnumMemberName("ok")]
    Ok,
    [JsonStringEnumMemberName("warning")]
    Warning,
    [JsonStringEnumMemberName("error")]
    Error,
}

/// <summary>One thing that was looked at.</summary>
/// <param name="Id">Stable name, snake_case; that of the alert where one says it.</param>
/// <param name="Remedy">What to do; null where nothing is wrong or the fact says it.</param>
internal sealed record Check(string Id, Level Level, string Fact, string? Remedy = null);

/// <summary>What <c>doctor --json</c> prints.</summary>
internal sealed record DoctorReport(bool Ok, IReadOnlyList<Check> Checks);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(DoctorReport))]
internal sealed partial class DoctorJson : JsonSerializerContext;
