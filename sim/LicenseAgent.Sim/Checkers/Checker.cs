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

    /// <summary>How often each invariant was judged: moments at which it could have been broken. By its id.</summary>
    public Dictionary<string, long> Judged { get; } = new(StringComparer.Ordinal);

    /// <summary>No healing brings this till back.</summary>
    public bool IsLeftBroken(string node) => Plan.Faults.Any(f => f.IsForGood && f.Till == node);

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

    /// <summary>The profiles whose campaigns have to come near it; empty: every one.</summary>
    public virtual IReadOnlyList<string> Profiles => [];

    public abstract IEnumerable<Violation> Check(RunRecord run);

    /// <summary>A moment at which the invariant could have been broken.</summary>
    protected void Judge(RunRecord run, long times = 1) =>
        run.Judged[Id] = run.Judged.GetValueOrDefault(Id) + times;

    /// <summary>Judges all of these, and gives those that break it.</summary>
    protected IEnumerable<T> Judge<T>(RunRecord run, IEnumerable<T> all, Func<T, bool> isBroken)
    {
        foreach (T one in all)
        {
            Judge(run);
            if (isBroken(one))
            {
                yield return one;
            }
        }
    }

    protected Violation Broken(Happening at, string message) => new(Id, at.AtUs, at.Node, message);
}

/// <summary>All of them.</summary>
internal static class AllCheckers
{
    public static IReadOnlyList<Checker> List { get; } =
    [
        new NoCrash(), new NoSecretInClear(), new AlwaysUsable(), new OneActive(), new NoFlapping(), new NothingPastItsEnd(),
        new VersionsNeverGoDown(), new CrashesLeaveAState(), new ConfirmAfterDurable(), new ForgedChangesNothing(), new NoWeakerProtection(),
        new NonceOnce(), new AuditedBeforeAnswer(), new DegradedEnds(), new ComesBack(), new ViewsAgree(), new NothingPilesUp(), new BrokenHoldsUpNobody(), new AlertsClear(),
        new LevelsAreKept(), new ChainHolds(), new HonestLogsAgree(), new TransitionsRecorded(),
        new NoChangeWithoutLog(), new EveryCallAnswered(), new LoadAfterOutage(), new RefusalsAreContact(),
        new OnlyListedPeers(), new NonsenseIsRefused(), new TpmUseIsBounded(), new NewerFilesAreLeft(),
        new OrdersAreKept(),
    ];
}
