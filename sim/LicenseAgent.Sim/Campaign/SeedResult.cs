using System.Text.Json;
using System.Text.Json.Serialization;
using LicenseAgent.Sim.Checkers;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.Plans;

namespace LicenseAgent.Sim.Campaign;

/// <summary>What a campaign keeps of one seed; a line of a worker's output.</summary>
/// <param name="Hits">Entries of the catalog that were seen.</param>
/// <param name="Trouble">Why the run is worth nothing; then <paramref name="Code"/> says of what kind.</param>
internal sealed record SeedResult(
    ulong Seed, int Code, string? Trouble, IReadOnlyList<Violation> Findings, IReadOnlyList<string> Hits, long Steps,
    double AgentHours, string Hash)
{
    // The first of each kind; the rest is the replay's to show.
    private const int FindingsMax = 8;

    /// <summary>How often each invariant was judged, by its id.</summary>
    public IReadOnlyDictionary<string, long> Judged { get; init; } = new Dictionary<string, long>();

    /// <summary>There was a run, that is: its worker did not end under it, and it may be run again for its page.</summary>
    [JsonIgnore]
    public bool HasRun => Hash.Length > 0;

    /// <summary>The line that ends what is said of it.</summary>
    public string Repro(string profile) => Code == ExitCodes.NotDeterministic
        ? Campaign.Repro.OfSeedTwice(Seed, profile)
        : Campaign.Repro.OfSeed(Seed, profile);

    public static SeedResult Of(ulong seed, Profile profile, bool twice) =>
        Of(PlanMaker.Make(seed, profile), twice, Runner.Run);

    /// <param name="twice">Carries it out again and compares the traces; a difference is never tried again.</param>
    /// <param name="carryOut">What a plan comes to; a test puts into it what must be found.</param>
    public static SeedResult Of(Plan plan, bool twice, Func<Plan, RunOutcome> carryOut)
    {
        ulong seed = plan.Seed;
        RunOutcome run = carryOut(plan);
        string hash = run.Trace.Value.ToString("x16", System.Globalization.CultureInfo.InvariantCulture);
        if (run.Escape is { } escape)
        {
            return new SeedResult(seed, run.Code, escape.ToString(), [], [], run.Steps, 0, hash);
        }

        Violation[] findings = [.. run.Violations.DistinctBy(v => (v.Id, v.Node)).Take(FindingsMax)];
        SeedResult result = new(
            seed, run.Code, null, findings, Catalog.SeenIn(run),
            run.Steps, run.AgentHours, hash)
        {
            Judged = run.Judged,
        };
        return twice ? result.ComparedWithAnother(run.Trace, () => carryOut(plan).Trace) : result;
    }

    /// <summary>Of the first run nothing but its trace is held while the second is under way.</summary>
    private SeedResult ComparedWithAnother(TraceHash trace, Func<TraceHash> again)
    {
        if (TraceHash.FirstDifference(trace, again()) is not { } mark)
        {
            return this;
        }

        return this with
        {
            Code = ExitCodes.NotDeterministic,
            Trouble = DifferenceAt(mark),
            Findings = [],
            Hits = [],
            AgentHours = 0,
        };
    }

    /// <param name="mark">The first thousand of events in which two runs differ.</param>
    public static string DifferenceAt(int mark) =>
        $"two runs differ within events {mark * TraceHash.MarkEvery} to {(mark + 1) * TraceHash.MarkEvery}";

    public string Write() => JsonSerializer.Serialize(this, SeedJson.Default.SeedResult);

    public static SeedResult Read(string line) => JsonSerializer.Deserialize(line, SeedJson.Default.SeedResult)
        ?? throw new InvalidDataException("A worker wrote nothing.");
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(SeedResult))]
internal sealed partial class SeedJson : JsonSerializerContext;
