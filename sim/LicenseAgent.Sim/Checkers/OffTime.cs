using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;

namespace LicenseAgent.Sim.Checkers;

/// <summary>How much trusted now may be behind: time off or asleep since the last contact.</summary>
internal sealed class OffTime
{
    private long _offSinceUs = -1;

    // Nothing is saved by who sleeps or is held: a power cut then loses that time as well.
    private readonly HashSet<int> _asleep = [];
    private long _asleepSinceUs = -1;

    // A process that never had its state, TPM or disk being away, serves nothing and saves no time: it is as good as off,
    // and so are all that the service manager starts after it until one has it.
    private long _startedUs;
    private bool _hasTime = true;
    private long _contactUs;
    private long _nowUs;
    private long _lostUs;

    public long LostMs => _lostUs / 1_000;

    /// <summary>Since the last contact.</summary>
    public int Starts { get; private set; }

    public long SinceContactMs => (_nowUs - _contactUs) / 1_000;

    public void On(Happening h)
    {
        _nowUs = h.AtUs;
        Starts = h is AnswerJudged { Kind: "None" } ? 0 : Starts + (h is Started ? 1 : 0);
        (_startedUs, _hasTime) = h is Started ? (_hasTime ? h.AtUs : _startedUs, false) : (_startedUs, _hasTime);
        switch (h)
        {
            case FaultBegan { Kind: FaultKinds.Suspend or FaultKinds.Pause } began:
                _asleepSinceUs = _asleep.Count == 0 ? h.AtUs : _asleepSinceUs;
                _asleep.Add(began.Fault);
                break;
            case FaultEnded { Kind: FaultKinds.Suspend or FaultKinds.Pause } ended:
                _asleep.Remove(ended.Fault);
                _asleepSinceUs = _asleep.Count == 0 ? -1 : _asleepSinceUs;
                break;
            case Seen seen: _hasTime |= !HasNoTime(seen); break;
            case Ended { How: EndOf.PowerCut or EndOf.Kill or EndOf.ShutDown } when _offSinceUs < 0:
                _offSinceUs = !_hasTime ? _startedUs : _asleepSinceUs >= 0 ? _asleepSinceUs : h.AtUs;
                break;
            case Started when _offSinceUs >= 0:
                // A new process in the same boot loses nothing; counted all the same, it is a bound.
                _lostUs += h.AtUs - _offSinceUs + 60_000_000;
                _offSinceUs = -1;
                break;
            case AnswerJudged { Kind: "None" }:
                (_lostUs, _contactUs) = (0, h.AtUs);
                break;
        }
    }

    /// <summary>
    /// Before the identity is durable no contact is, and without a TPM at the start the state is not loaded: the till
    /// may know nothing but its build time, and serves nothing. So it is with an identity and no secret yet: power may
    /// have gone right after the enrolment.
    /// </summary>
    public static bool HasNoTime(Seen seen) =>
        seen.Lock is "starting" or "not_enrolled" or "tpm_unavailable" or "tpm_replaced" or "identity_damaged"
            or "certificate_damaged" or "NO_SECRET";
}
