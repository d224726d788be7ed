using System.Buffers;
using System.Collections;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using LicenseAgent.Core;
using LicenseAgent.Daemon.LocalApi;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Management;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.LocalApi;

/// <summary>Holds <c>openapi.json</c> to the records: what it describes is what is read and written.</summary>
public sealed class OpenApiTests
{
    private static readonly JsonElement Document = Load();

    private static JsonElement Schemas => Document.GetProperty("components").GetProperty("schemas");

    public static TheoryData<string> Records =>
    [
        .. Types().Select(type => type.Type.Name).Order(StringComparer.Ordinal),
    ];

    [Fact]
    public void Every_schema_is_a_record_and_every_record_a_schema() =>
        Assert.Equal(
            Types().Select(type => type.Type.Name).Order(StringComparer.Ordinal),
            Schemas.EnumerateObject().Select(schema => schema.Name).Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Records))]
    public void A_schema_has_the_members_of_its_record_in_their_order(string record)
    {
        JsonTypeInfo type = Types().Single(info => info.Type.Name == record);
        Assert.Equal(
            type.Properties.Select(property => property.Name),
            Schemas.GetProperty(record).GetProperty("properties").EnumerateObject().Select(property => property.Name));
    }

    [Theory]
    [MemberData(nameof(Records))]
    public void A_schema_requires_what_its_record_always_writes(string record)
    {
        JsonTypeInfo type = Types().Single(info => info.Type.Name == record);
        IEnumerable<string> required = Schemas.GetProperty(record).TryGetProperty("required", out JsonElement names)
            ? names.EnumerateArray().Select(name => name.GetString()!)
            : [];
        Assert.Equal(
            type.Properties.Where(property => !MayBeAbsent(property)).Select(property => property.Name), required);
    }

    [Theory]
    [MemberData(nameof(Records))]
    public void A_schema_has_the_types_of_its_record(string record)
    {
        JsonTypeInfo type = Types().Single(info => info.Type.Name == record);
        JsonElement properties = Schemas.GetProperty(record).GetProperty("properties");
        foreach (JsonPropertyInfo property in type.Properties)
        {
            Assert.Equal(
                (property.Name, Expected(property)), (property.Name, Described(properties.GetProperty(property.Name))));
        }
    }

    [Fact]
    public void Requests_refuse_other_members_and_answers_do_not()
    {
        foreach (JsonTypeInfo type in Types())
        {
            bool refuses = type.Options.UnmappedMemberHandling == JsonUnmappedMemberHandling.Disallow;
            Assert.Equal(
                (type.Type.Name, refuses),
                (type.Type.Name, Schemas.GetProperty(type.Type.Name).TryGetProperty("additionalProperties", out _)));
        }
    }

    [Fact]
    public void Every_path_is_described()
    {
        string[] paths =
        [
            LocalPaths.ValidateLicense, LocalPaths.RenewLicense, LocalPaths.Health, LocalPaths.OpenApi,
            ManagementPaths.Status, ManagementPaths.Secrets, ManagementPaths.Tpm, ManagementPaths.Clock,
            ManagementPaths.Metrics,
            ManagementPaths.Audit, ManagementPaths.AuditVerify, ManagementPaths.Enroll, ManagementPaths.Rotate,
            ManagementPaths.InvalidatePrefix + "{version}" + ManagementPaths.InvalidateSuffix,
            ManagementPaths.Degraded, ManagementPaths.Reload, ManagementPaths.Challenge, ManagementPaths.Session,
        ];
        Assert.Equal(
            paths.Order(StringComparer.Ordinal),
            Document.GetProperty("paths").EnumerateObject().Select(path => path.Name).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Words_are_those_of_the_program()
    {
        Assert.Equal(ValidationReasons.All, Words("ValidateLicenseResponse", "reason"));
        Assert.Equal(Enum.GetValues<AgentMode>().Select(ModeText.Of), Words("ValidateLicenseResponse", "mode"));
        IEnumerable<string> codes = typeof(ProblemCodes).GetFields(BindingFlags.Public | BindingFlags.Static)
            .Select(field => (string)field.GetRawConstantValue()!);
        Assert.Equal(codes, Words("Problem", "code"));
    }

    [Fact]
    public void Every_reference_leads_somewhere()
    {
        string text = Document.GetRawText();
        foreach (string reference in text.Split("\"$ref\": \"#/").Skip(1).Select(rest => rest.Split('"')[0]))
        {
            JsonElement at = Document;
            foreach (string step in reference.Split('/'))
                Assert.True(at.TryGetProperty(step, out at), reference);
        }
    }

    private static IEnumerable<JsonTypeInfo> Types()
    {
        LocalRequestJsonContext pos = LocalRequestJsonContext.Wire;
        LocalAnswerJsonContext said = LocalAnswerJsonContext.Wire;
        ManagementRequestJsonContext calls = ManagementRequestJsonContext.Wire;
        ManagementAnswerJsonContext answers = ManagementAnswerJsonContext.Wire;
        return
        [
            pos.ValidateLicenseRequest, said.ValidateLicenseResponse, pos.RenewLicenseRequest, said.RenewLicenseResponse,
            said.HealthResponse, said.Problem,
            calls.EnrollCall, calls.InvalidateCall, Of(calls, typeof(EnrollmentBundle)), Of(calls, typeof(KeysetPin)),
            answers.StatusResponse, answers.SecretsResponse, answers.TpmResponse, answers.ClockResponse,
            Of(answers, typeof(ClockView)), answers.EnrollOutcome,
            answers.RotateOutcome, answers.InvalidateOutcome, answers.AuditPage, answers.AuditVerifyResponse,
            calls.DegradedCall, calls.SessionCall, answers.DegradedOutcome, answers.ReloadOutcome,
            answers.ChallengeOutcome, answers.SessionOutcome,
            Of(answers, typeof(SecretView)), Of(answers, typeof(TpmView)), Of(answers, typeof(LicenseView)),
            Of(answers, typeof(AlertView)), Of(answers, typeof(AuditFinding)), Of(answers, typeof(ProtectionView)),
        ];
    }

    private static JsonTypeInfo Of(JsonSerializerContext context, Type type) => context.GetTypeInfo(type)!;

    private static bool MayBeAbsent(JsonPropertyInfo property) =>
        property.AttributeProvider!.GetCustomAttributes(typeof(JsonIgnoreAttribute), inherit: true).Length > 0;

    /// <summary>What a property must be described as: its JSON type or record, and whether it may be null.</summary>
    private static string Expected(JsonPropertyInfo property)
    {
        Type type = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
        string name = Name(type);
        return property.IsGetNullable && !MayBeAbsent(property) ? name + "?" : name;
    }

    private static string Name(Type type)
    {
        if (type == typeof(bool))
            return "boolean";
        if (type == typeof(long) || type == typeof(int))
            return "integer";
        if (type == typeof(JsonElement))
            return "object";
        if (type != typeof(string) && type.IsAssignableTo(typeof(IEnumerable)))
        {
            Type[] parts = type.GetGenericArguments();
            return parts.Length == 2 ? $"map of {Name(parts[1])}" : $"array of {Name(parts[0])}";
        }
        return Schemas.TryGetProperty(type.Name, out _) ? type.Name : "string";
    }

    private static string Described(JsonElement schema)
    {
        if (schema.TryGetProperty("$ref", out JsonElement reference))
            return reference.GetString()!.Split('/')[^1];
        if (schema.TryGetProperty("anyOf", out JsonElement either))
            return Described(either[0]) + "?";
        JsonElement type = schema.GetProperty("type");
        bool nullable = type.ValueKind == JsonValueKind.Array;
        string name = (nullable ? type[0] : type).GetString()!;
        name = name switch
        {
            "array" => $"array of {Described(schema.GetProperty("items"))}",
            "object" when schema.TryGetProperty("additionalProperties", out JsonElement value) =>
                $"map of {Described(value)}",
            _ => name,
        };
        return nullable ? name + "?" : name;
    }

    private static IEnumerable<string> Words(string record, string member) => Schemas.GetProperty(record)
        .GetProperty("properties").GetProperty(member).GetProperty("enum").EnumerateArray()
        .Select(word => word.GetString()!);

    private static JsonElement Load()
    {
        var body = new ArrayBufferWriter<byte>();
        OpenApiDocument.Write(body);
        return JsonDocument.Parse(body.WrittenMemory.ToArray()).RootElement;
    }
}
