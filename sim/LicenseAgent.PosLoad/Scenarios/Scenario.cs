using System.Text.Json.Serialization;

namespace LicenseAgent.PosLoad.Scenarios;

/// <summary>
/// What is sent, how fast and for how long; the file format of <c>scenarios/*.json</c>, members in snake_case. Unknown
/// members are refused.
/// </summary>
/// <param name="Name">Of the report's files: letters, digits, hyphens.</param>
/// <param name="About">One sentence for the report.</param>
/// <param name="Phases">One after the other, at least one.</param>
/// <param name="Connections">Of all users together.</param>
/// <param name="Users">Users under whose UIDs the load comes; more than one needs root.</param>
/// <param name="Reconnect">A new connection for every request.</param>
/// <param name="Mix">Left out: one token again and again.</param>
/// <param name="Events">What happens to the till meanwhile; only when the till is our own.</param>
/// <param name="Hostile">Clients that mean no good, beside the measured ones.</param>
/// <param name="Intervals">Of license server and till, for scenarios that outlive a secret.</param>
/// <param name="Baseline">Run the phases against an empty Kestrel handler as well, in the same run.</param>
/// <param name="Target"><c>agent</c>: validations over its Unix socket. <c>server</c>: the license server, by software
/// agents; then <paramref name="Fleet"/> is needed, and users, mix and hostile are not for it.</param>
internal sealed record Scenario(
    string Name, string About, IReadOnlyList<Phase> Phases, int Connections = 8, int Users = 1, bool Reconnect = false,
    TokenMix? Mix = null, IReadOnlyList<StageEvent>? Events = null, HostileMix? Hostile = null,
    Intervals? Intervals = null, bool Baseline = false, Limits? Limits = null,
    string Target = Targets.Agent, FleetPlan? Fleet = null)
{
    public TokenMix Mix { get; } = Mix ?? new TokenMix();

    public IReadOnlyList<StageEvent> Events { get; } = Events ?? [];

    public Limits Limits { get; } = Limits ?? new Limits();

    [JsonIgnore]
    public double Seconds => Phases.Sum(p => p.Seconds);
}

/// <summary>What is loaded.</summary>
internal static class Targets
{
    public const string Agent = "agent", Server = "server";
}

/// <summary>Software agents, all of them enrolled at the license server before the load.</summary>
/// <param name="Agents">With keys and certificates of their own.</param>
/// <param name="Active">How many of them take turns under load, each on a connection it keeps; 0: all.</param>
/// <param name="Passive">Further agents that are in the database alone.</param>
/// <param name="Action">One of <see cref="FleetActions"/>.</param>
/// <param name="TimeFactor">So many seconds of the fleet's time pass in one: all its intervals, back-offs included, are
/// divided by it. A divisor of 60.</param>
internal sealed record FleetPlan(int Agents, int Active = 0, int Passive = 0, string Action = "", int TimeFactor = 1)
{
    [JsonIgnore]
    public int Callers => Active == 0 ? Agents : Active;
}

/// <summary>What software agents do.</summary>
internal static class FleetActions
{
    /// <summary>A signed check-in on a kept connection.</summary>
    public const string CheckIn = "check-in";

    /// <summary>Prepare, unwrap, confirm on a kept connection; counts as one request.</summary>
    public const string Rotate = "rotate";

    /// <summary>A new connection with both certificates, and the smallest request on it.</summary>
    public const string Connect = "connect";

    /// <summary>Whatever the decision core of the agent says, when it says so; phases only say how long.</summary>
    public const string Schedule = "schedule";

    public static readonly IReadOnlyList<string> All = [CheckIn, Rotate, Connect, Schedule];
}

/// <summary>A stretch of time with one kind of arrivals.</summary>
/// <param name="Rate">Requests a second at its end.</param>
/// <param name="From">Requests a second at its beginning; left out: the same as <paramref name="Rate"/>.</param>
/// <param name="Arrivals"><c>constant</c>: equally far apart. <c>poisson</c>: independent of each other.</param>
/// <param name="Closed">In place of a rate: so many agents, each begins its next request when the one before is
/// answered. What is reached is the greatest rate.</param>
/// <param name="OfClosed">In place of a rate: this share of what the closed phase before has reached.</param>
internal sealed record Phase(
    double Seconds, double Rate = 0, double? From = null, string Arrivals = "constant", int Closed = 0,
    double? OfClosed = null);

/// <summary>Shares of the kinds of tokens, as weights.</summary>
/// <param name="Repeated">One token again and again.</param>
/// <param name="Fresh">Tokens not seen before, as far as the pool of 20 000 reaches.</param>
/// <param name="Expired">Genuine, and past their end.</param>
/// <param name="Forged">A genuine one with a changed tag.</param>
internal sealed record TokenMix(int Repeated = 1, int Fresh = 0, int Expired = 0, int Forged = 0)
{
    [JsonIgnore]
    public int Total => Repeated + Fresh + Expired + Forged;
}

/// <summary>Something done to the till or its server at a time.</summary>
/// <param name="At">Seconds from the start of the load.</param>
/// <param name="Do">One of <see cref="StageEvents"/>.</param>
internal sealed record StageEvent(double At, string Do);

/// <summary>Names of what can be done.</summary>
internal static class StageEvents
{
    public const string Rotate = "rotate", ServerKill = "server-kill", ServerStart = "server-start",
        TpmKill = "tpm-kill", TpmStart = "tpm-start", TpmStop = "tpm-stop", TpmContinue = "tpm-continue";

    public static readonly IReadOnlyList<string> All =
        [Rotate, ServerKill, ServerStart, TpmKill, TpmStart, TpmStop, TpmContinue];
}

/// <summary>Clients that mean no good, from a user of their own, beside the measured ones.</summary>
/// <param name="Garbage">Send random bytes, again and again.</param>
/// <param name="Slow">Ask, and read the answer a byte at a time.</param>
/// <param name="HalfOpen">Send half a request and wait.</param>
internal sealed record HostileMix(int Garbage = 0, int Slow = 0, int HalfOpen = 0)
{
    [JsonIgnore]
    public int Total => Garbage + Slow + HalfOpen;
}

/// <summary>In seconds; of the fleet's time where that has a factor.</summary>
internal sealed record Intervals(double Rotation, double Grace, double CheckIn);

/// <summary>What must hold; left out: not judged. A limit that is not met makes the exit code 1.</summary>
/// <param name="Failed">Requests without the expected answer: refused, wrong, broken, timed out.</param>
/// <param name="P999Ms">The greater of this and three times the empty handler's.</param>
/// <param name="MemoryMib">Resident memory of the agent at any second.</param>
/// <param name="MemoryMibPerHour">Growth of resident memory over the second half, MiB an hour.</param>
/// <param name="DescriptorsPerHour">Growth of open descriptors over the second half, an hour.</param>
/// <param name="TpmHandles">Objects and sessions left in the TPM; a proxy is put on its bus to count them.</param>
/// <param name="PerSecond">Right answers a second in the closed phase, at least.</param>
/// <param name="BaselineShare">The same as a share of what the empty handler reached, at least.</param>
/// <param name="RateFactor">After the server is back, requests in any minute of the fleet's time from the second on, as
/// a multiple of the steady ones.</param>
/// <param name="RotationsFailed">Refused, not usable, or without an answer while the server was there.</param>
internal sealed record Limits(
    long? Failed = 0, double? P99Ms = null, double? P999Ms = null, double? MemoryMib = null,
    double? MemoryMibPerHour = null, double? DescriptorsPerHour = null, int? TpmHandles = null, double? PerSecond = null,
    double? BaselineShare = null, double? RateFactor = null, long? RotationsFailed = null);
