using System.Text.Json;
using System.Text.Json.Serialization;

namespace LicenseAgent.Sim.Plans;

/// <summary>
/// Everything a run does that is not chance: who there is, how it is set up, what goes wrong, who orders what, and
/// when. A seed makes a plan, a plan makes a run. What is taken out of a plan at one till moves nothing at another: every
/// stream of chance belongs to a till and a concern, the server's and the order of what is ready among them. At the same
/// till what comes after it is another run, and so it is at others where the server comes between: by answers of one
/// that are given to another, and by what was ordered because of it.
/// </summary>
/// <param name="Seed">Of the streams of chance.</param>
/// <param name="Hours">Of the phase in which anything may go wrong; healing comes after it.</param>
internal sealed record Plan(
    int Format, ulong Seed, string Profile, int Tills, int Hours, Knobs Knobs,
    IReadOnlyList<PlannedFault> Faults, IReadOnlyList<PlannedOrder> Orders)
{
    public const int CurrentFormat = 1;

    public static Plan Read(string json)
    {
        Plan plan;
        try
        {
            plan = JsonSerializer.Deserialize(json, PlanJson.Default.Plan)
                ?? throw new PlanException("The plan is empty.");
        }
        catch (JsonException e)
        {
            throw new PlanException($"This is no plan, such as `plan` and `shrink` write: {e.Message}");
        }

        return plan.Format == CurrentFormat
            ? plan
            : throw new PlanException($"The plan has format {plan.Format}, this program knows {CurrentFormat}.");
    }

    public string Write() => JsonSerializer.Serialize(this, PlanJson.Default.Plan) + "\n";
}

/// <summary>A plan cannot be carried out; the message says why.</summary>
internal sealed class PlanException(string message) : Exception(message);

/// <summary>What differs from run to run although nothing is wrong: intervals, loads, limits.</summary>
/// <param name="PosEveryS">Mean time between two validations at a till.</param>
/// <param name="RepeatNonces">Of so many in a thousand validations the nonce is one used before.</param>
/// <param name="OddCalls">Of so many in a thousand somebody calls beside it who may not, or calls nonsense.</param>
/// <param name="Burst">At most so many validations come at a time.</param>
/// <param name="PosRate">Requests a second and user that the till serves; 0: what the agent is shipped with.</param>
/// <param name="SegmentKib">The log's file is closed at this size; 0: what the agent is shipped with.</param>
/// <param name="RetentionS">Closed files of the log are kept so long; 0: what the agent is shipped with.</param>
/// <param name="DriftEach">Each till's clock drifts by itself, at most <paramref name="DriftPpm"/> to either side.</param>
/// <param name="CertificateS">The agents' certificates last so long; 0: longer than any run.</param>
/// <param name="RequestBytes">Largest body of a call that the till reads; 0: what the agent is shipped with.</param>
internal sealed record Knobs(
    int PosEveryS = 600, int RotationS = 86_400, int GraceS = 604_800, int CheckInS = 900, int OfflineS = 86_400,
    int TimeoutS = 30, int RepeatNonces = 50, bool RefuseWithoutAudit = false, int DriftPpm = 0,
    int OddCalls = 100, int Burst = 1, int PosRate = 0, int SegmentKib = 0, int RetentionS = 0,
    bool DriftEach = false, int CertificateS = 0, int RequestBytes = 0);

/// <summary>Something goes wrong, for a while.</summary>
/// <param name="Till">Its name, or empty: the server or all of them.</param>
/// <param name="Kind">One of <see cref="FaultKinds"/>.</param>
internal sealed record PlannedFault(int Id, long AtS, long ForS, string Till, string Kind, long Arg = 0, long Arg2 = 0)
{
    /// <summary>Argument of an absent TPM: the healing does not bring it back.</summary>
    public const long ForGood = 1;

    [JsonIgnore]
    public bool IsForGood => Kind == FaultKinds.TpmAbsent && Arg == ForGood;
}

/// <summary>Somebody orders something.</summary>
internal sealed record PlannedOrder(int Id, long AtS, string Till, string Kind, long Arg = 0);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true, IndentSize = 1,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    RespectRequiredConstructorParameters = true, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(Plan))]
internal sealed partial class PlanJson : JsonSerializerContext;
