using System.Text.Json;
using System.Text.Json.Serialization;
using LicenseAgent.Core;
using LicenseAgent.Daemon.Metrics;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Json;

namespace LicenseAgent.Daemon.State;

/// <summary>
/// <c>run.json</c>: what is durable without the TPM. What format 1 does not have is read with the default that stands
/// beside each such member of <see cref="RunState"/> and its parts.
/// </summary>
internal sealed record RunFile(int Format, RunState Run, CounterState Counters)
{
    public const int CurrentFormat = 2;
    public const string Name = "run.json";
}

/// <summary>
/// The files of the state directory, strict both ways: a member nobody knows is a file of another program.
/// </summary>
[JsonSerializable(typeof(BoundState))]
[JsonSerializable(typeof(RunFile))]
[JsonSerializable(typeof(AgentFile))]
[JsonSerializable(typeof(SoftwareFile))]
internal sealed partial class StateJson : JsonSerializerContext
{
    public static StateJson Strict { get; } = new(StrictOptions());

    /// <summary>Reads a file of a format up to <paramref name="newest"/>.</summary>
    /// <exception cref="ProtocolException">Not such a file.</exception>
    /// <exception cref="NewerFormatException">Of a newer program; it is not touched.</exception>
    public static T Read<T>(
        ReadOnlySpan<byte> utf8, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type, string name, int newest)
    {
        RefuseNewer(utf8, name, newest);
        return StrictJson.Read(utf8, type);
    }

    private static void RefuseNewer(ReadOnlySpan<byte> utf8, string name, int newest)
    {
        try
        {
            Utf8JsonReader reader = new(utf8);
            while (reader.Read())
            {
                bool isFormat = reader.CurrentDepth == 1 && reader.TokenType == JsonTokenType.PropertyName
                    && reader.ValueTextEquals("format"u8);
                if (isFormat && reader.Read() && reader.TryGetInt32(out int format) && format > newest)
                {
                    throw new NewerFormatException(name, format, newest);
                }
            }
        }
        catch (JsonException e)
        {
            throw new ProtocolException("json_syntax", null, e);
        }
        catch (InvalidOperationException e)
        {
            throw new ProtocolException("json_value", "/format", e);
        }
    }

    private static JsonSerializerOptions StrictOptions()
    {
        JsonSerializerOptions options = StrictJson.RefuseUnknown();
        options.Converters.Add(new UpperCaseNames<SecretState>());
        options.Converters.Add(new SnakeCaseNames<EnrollmentPhase>());
        return options;
    }
}

/// <summary>A state file of a newer program: refused untouched, whatever else is wrong.</summary>
internal sealed class NewerFormatException(string name, int format, int newest)
    : EnvironmentException(
        "newer_format",
        $"{name} has format {format}, this program knows {newest}. Install the newer program again; "
        + "nothing was touched.",
        retryable: false, null);
