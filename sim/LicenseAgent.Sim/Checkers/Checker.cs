using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;

namespace LicenseAgent.Sim.Checkers;

/// <summary>An invariant that did not hold.</summary>
/// <param name="Id">Of the invariant.</param>
/// <param name="AtUs">When it was seen.</param>
internal sealed record Violation(string Id, long AtUs, string Node, string Message);

/// <summary>What a checker may look at: what was observed, what was planned, and the logs as they stand at the end.</summary>
internal sealed record RunRecord(
    Plan Plan, IReadOnlyList<Happening> History, IReadOnlyList<LogAtEnd> Logs)
{
    // Every checker walks till by till: of a large fleet the whole history must not be walked for each.
    private Dictionary<string, List<Happening>>? _byNode;
    private FaultBegan[]? _faults;

    public IEnumerable<string> Nodes => Enumerable.Range(1, Plan.Tills).Select(World.SimWorld.NameOf);

    /// <summary>What happened to one till, in order, faults of all tills included.</summary>
    public IReadOnlyList<Happening> Of(string node) => (_byNode ??= ByNode()).TryGetValue(node, out List<Happening>? own)
        ? own
        : [.. History.Where(h => h.Node == node || IsForAll(h))];

    public bool Had(string node, params IReadOnlyList<string> kinds) =>
        (_faults ??= [.. History.OfType<FaultBegan>()])
            .Any(f => kinds.Contains(f.Kind) && (f.Node == node || f.Node.Length == 0));

    private Dictionary<string, List<Happening>> ByNode()
    {
        Dictionary<string, List<Happening>> nodes = Nodes.ToDictionary(
            n => n, _ => new List<Happening>(), StringComparer.Ordinal);
        foreach (Happening h in History)
        {
            if (IsForAll(h))
            {
                foreach (List<Happening> all in nodes.Values)
                {
                    all.Add(h);
                }
            }
            else if (nodes.TryGetValue(h.Node, out List<Happening>? own))
            {
                own.Add(h);
            }
        }

        return nodes;
    }

    private static bool IsForAll(Happening h) => h is FaultBegan { Node: "" } or FaultEnded { Node: "" } or Healed;
}

/// <summary>The audit log of a till as it stands on its disk.</summary>
/// <param name="Bytes">Its files, oldest first, those of chains that are over among them.</param>
internal sealed record LogAtEnd(string Node, IReadOnlyList<ReadOnlyMemory<byte>> Bytes)
{
    private IReadOnlyList<LogFile>? _files;

    /// <summary>Read once, for reading is dear.</summary>
    public IReadOnlyList<LogFile> Files => _files ??= [.. Bytes.Select(LogFile.Read)];

    public IEnumerable<LogLine> Lines => Files.SelectMany(f => f.Lines);
}

/// <summary>One invariant, judged by what was observed and nothing else.</summary>
internal abstract class Checker
{
    /// <summary>As <c>testbed.md</c> numbers them.</summary>
    public abstract string Id { get; }

    /// <summary>In one sentence.</summary>
    public abstract string Claim { get; }

    public abstract IEnumerable<Violation> Check(RunRecord run);

    protected Violation Broken(Happening at, string message) => new(Id, at.AtUs, at.Node, message);
}

/// <summary>All of them.</summary>
internal static class AllCheckers
{
    public static IReadOnlyList<Checker> List { get; } =
    [
        new NoCrash(), new AlwaysUsable(), new OneActive(), new NoFlapping(), new NothingPastItsEnd(),
        new VersionsNeverGoDown(), new CrashesLeaveAState(), new ConfirmAfterDurable(), new ForgedChangesNothing(),
        new NonceOnce(), new AuditedBeforeAnswer(), new DegradedEnds(), new ComesBack(),
        new LevelsAreKept(), new ChainHolds(), new HonestLogsAgree(), new TransitionsRecorded(),
        new NoChangeWithoutLog(), new EveryCallAnswered(), new LoadAfterOutage(), new RefusalsAreContact(),
        new OnlyListedPeers(), new NonsenseIsRefused(), new TpmUseIsBounded(), new NewerFilesAreLeft(),
        new OrdersAreKept(),
    ];
}
