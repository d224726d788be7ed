using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using LicenseServer.Agents;

namespace LicenseAgent.PosLoad.Scenarios;

/// <summary>Reads a scenario; every mistake is said at once.</summary>
internal static partial class ScenarioFile
{
    private const int ConnectionsMax = 256, UsersMax = 8, HostileMax = 1000, EventsMax = 100, PhasesMax = 100;
    private const double RateMax = 100_000, SecondsMax = 24 * 3600;

    /// <exception cref="ScenarioException">The file cannot be read or has mistakes; the message lists them.</exception>
    public static Scenario Read(string path)
    {
        Scenario? scenario;
        try
        {
            scenario = JsonSerializer.Deserialize(File.ReadAllBytes(path), ScenarioJsonContext.Default.Scenario);
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new ScenarioException($"{path}: {e.Message}");
        }

        string[] mistakes = scenario is null ? ["it says null"] : [.. Mistakes(scenario)];
        return mistakes.Length == 0
            ? scenario!
            : throw new ScenarioException(string.Join('\n', mistakes.Select(m => $"{path}: {m}")));
    }

    private static IEnumerable<string> Mistakes(Scenario s)
    {
        if (!NamePattern().IsMatch(s.Name))
            yield return $"name '{s.Name}' is not letters, digits and hyphens";
        if (s.Phases.Count is 0 or > PhasesMax)
            yield return $"there are {s.Phases.Count} phases; 1 to {PhasesMax} can be";
        foreach ((int i, Phase phase) in s.Phases.Index())
        {
            if (phase.Arrivals is not ("constant" or "poisson"))
                yield return $"phases[{i}].arrivals is '{phase.Arrivals}'; constant or poisson";
            if (IsPaced(s, phase) ? phase.Rate is <= 0 or > RateMax || phase.From is < 0 or > RateMax
                : phase.Rate != 0 || phase.From is not null)
            {
                yield return Text($"phases[{i}]: a rate is above 0 and at most {RateMax}, and stands alone");
            }

            if (phase.Seconds is <= 0 or > SecondsMax)
                yield return Text($"phases[{i}].seconds is above 0 and at most {SecondsMax}");
        }

        if (s.Seconds > SecondsMax)
            yield return Text($"it lasts {s.Seconds} s; at most {SecondsMax}");
        if (s.Users is < 1 or > UsersMax)
            yield return $"users is {s.Users}; 1 to {UsersMax}";
        if (s.Connections < s.Users || s.Connections > ConnectionsMax)
            yield return $"connections is {s.Connections}; one a user to {ConnectionsMax}";
        if (s.Mix is { Repeated: < 0 } or { Fresh: < 0 } or { Expired: < 0 } or { Forged: < 0 } || s.Mix.Total == 0)
            yield return "mix: weights are 0 or more, and one is above 0";
        if (s.Hostile is { } h && (h is { Garbage: < 0 } or { Slow: < 0 } or { HalfOpen: < 0 } || h.Total > HostileMax))
            yield return $"hostile: numbers are 0 or more, together at most {HostileMax}";
        if (s.Events.Count > EventsMax)
            yield return $"there are {s.Events.Count} events; at most {EventsMax}";
        foreach ((int i, StageEvent e) in s.Events.Index())
        {
            if (!StageEvents.All.Contains(e.Do))
                yield return $"events[{i}].do is '{e.Do}'; one of {string.Join(", ", StageEvents.All)}";
            if (e.At < 0 || e.At > s.Seconds)
                yield return Text($"events[{i}].at is {e.At}; the load lasts {s.Seconds} s");
        }

        foreach (string mistake in s.Target == Targets.Server ? FleetRules.Mistakes(s) : FleetRules.ForTheServerAlone(s))
            yield return mistake;
        if (s.Intervals is { } v && (v.Rotation < 1 || v.Grace < 1 || v.CheckIn < 1))
            yield return "intervals: each is at least a second";
        if (s.Intervals is { } w && w.Grace > w.Rotation * Policy.GraceIntervalsMax)
            yield return Text($"intervals: grace {w.Grace} is more than {Policy.GraceIntervalsMax} times rotation {w.Rotation}");
    }

    private static bool IsPaced(Scenario s, Phase phase) =>
        s.Target != Targets.Server
        || (phase is { Closed: 0, OfClosed: null } && s.Fleet?.Action != FleetActions.Schedule);

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    [GeneratedRegex("^[a-z0-9][a-z0-9-]{0,60}$")]
    private static partial Regex NamePattern();
}

/// <summary>The scenario cannot be run; the message says why and what would be right.</summary>
internal sealed class ScenarioException(string message) : Exception(message);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    RespectRequiredConstructorParameters = true,
    RespectNullableAnnotations = true,
    AllowDuplicateProperties = false,
    ReadCommentHandling = JsonCommentHandling.Skip,
    WriteIndented = true)]
[JsonSerializable(typeof(Scenario))]
internal sealed partial class ScenarioJsonContext : JsonSerializerContext;
