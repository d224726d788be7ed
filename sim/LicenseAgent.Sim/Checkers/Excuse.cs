using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World.Server;

namespace LicenseAgent.Sim.Checkers;

/// <summary>
/// What was done to a till, or to its server, explains what the till shows from then on until it is whole again: until
/// all of it is over and the till, after a check-in, has shown NORMAL. Where its files were changed, a
/// process that began since has to show it; where the server's books were, a secret that became ACTIVE since.
/// </summary>
/// <param name="kinds">Faults that explain it whenever they come.</param>
internal sealed class Excuse(params IReadOnlyList<string> kinds)
{
    private static readonly string[] OfFiles =
    [
        .. FaultKinds.Tampering, FaultKinds.TpmRolledBack, .. FaultKinds.AnotherTpm, .. FaultKinds.Upgrade,
    ];

    private static readonly string[] OfBooks = [FaultKinds.ServerRestored, FaultKinds.ServerStale];

    private readonly HashSet<int> _open = [];
    private readonly HashSet<int> _openAtStart = [];
    private readonly HashSet<string> _standing = new(StringComparer.Ordinal);
    private bool _wantsStart, _wantsCheckIn, _wantsContact, _wantsActive;

    /// <summary>Faults that explain it only where a process begins while they last: one that runs has what it needs.</summary>
    public IReadOnlyList<string> AtStart { get; init; } = [];

    /// <summary>Orders to the till or the server that explain it: <see cref="OrderKinds"/>, and <c>enroll</c>.</summary>
    public IReadOnlyList<string> Orders { get; init; } = [];

    /// <summary>Something that happened explains the present.</summary>
    public bool Holds { get; private set; }

    /// <summary>When the last of it was over, microseconds; the present, while it lasts. Zero: there was none.</summary>
    public long LastUs { get; private set; }

    private bool IsOver => _open.Count == 0 && _openAtStart.Count == 0 && _standing.Count == 0;

    public void On(Happening h)
    {
        switch (h)
        {
            case FaultBegan or FaultEnded: OnFault(h); break;
            case Ordered { What: OrderKinds.Resume }: _standing.Remove(OrderKinds.Suspend); break;
            case Ordered o when Orders.Contains(o.What.Split(' ')[0]): OnOrder(o.What.Split(' ')[0]); break;
            case Healed: _standing.Clear(); break;
            case Started:
                _wantsStart = false;
                if (_openAtStart.Count > 0)
                {
                    Begin("");
                }

                break;
            case VersionChanged { State: VersionState.Active }: _wantsActive &= !IsOver; break;
            case Reported: _wantsCheckIn &= !IsOver; break;
            case AnswerJudged { Kind: "None" } a when a.ContactAfterMs != a.ContactBeforeMs:
                _wantsContact &= !IsOver || _wantsCheckIn;
                break;
            case Seen { Mode: "NORMAL" } when Holds && IsOver:
                Holds = _wantsStart || _wantsContact || _wantsActive;
                break;
        }

        LastUs = _open.Count > 0 ? h.AtUs : LastUs;
    }

    private void OnFault(Happening h)
    {
        if (h is FaultBegan began && kinds.Contains(began.Kind))
        {
            _open.Add(began.Fault);
            Begin(began.Kind);
        }
        else if (h is FaultBegan atStart && AtStart.Contains(atStart.Kind))
        {
            _openAtStart.Add(atStart.Fault);
        }
        else if (h is FaultEnded ended && (_open.Remove(ended.Fault) | _openAtStart.Remove(ended.Fault)))
        {
            LastUs = h.AtUs;
        }
    }

    private void OnOrder(string what)
    {
        if (what is OrderKinds.Suspend or OrderKinds.LimitGrace)
        {
            _standing.Add(what);
        }

        Begin(what);
    }

    private void Begin(string what)
    {
        (Holds, _wantsCheckIn, _wantsContact) = (true, true, true);
        _wantsStart |= OfFiles.Contains(what);
        _wantsActive |= OfBooks.Contains(what);
    }
}
