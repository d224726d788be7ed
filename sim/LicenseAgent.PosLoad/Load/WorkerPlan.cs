using System.Text.Json;
using System.Text.Json.Serialization;
using LicenseAgent.PosLoad.Scenarios;

namespace LicenseAgent.PosLoad.Load;

/// <summary>What a worker process is told; written to a file it can read under its own user.</summary>
/// <param name="AnyAnswer">Do not look at the reason: the other side is no agent.</param>
internal sealed record WorkerPlan(
    string Socket, Scenario Scenario, TokenPool Tokens, int Worker, int Workers, bool AnyAnswer);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(WorkerPlan))]
[JsonSerializable(typeof(WorkerSecond))]
internal sealed partial class WorkerJsonContext : JsonSerializerContext;
