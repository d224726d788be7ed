using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Local;

namespace LicenseAgent.Daemon.LocalApi.Peers;

/// <summary>
/// Records peers that were turned away without letting them write the log: the first of a UID on a socket in a minute
/// at once, further ones as one counted record when the minute is over. Driven by <see cref="Turn"/>, about once a
/// second. One lock.
/// </summary>
internal sealed class AccessDenials(DeniedAt socket, LocalJournal journal, IBootClock clock, Action denied)
{
    private const long MinuteMs = 60_000;

    // Who can make up UIDs is root already; beyond this many in a minute they are counted together under the first.
    private const int UidsMax = 256;

    private const int SubjectBytesMax = 256;

    private readonly Lock _gate = new();
    private readonly Dictionary<(uint Uid, Admission Why), Run> _runs = [];

    /// <param name="subject">Of a certificate, where somebody came with one.</param>
    public void Add(PeerCredentials peer, Admission why, string? subject = null)
    {
        if (why == Admission.NotAllowed)
            denied();
        lock (_gate)
        {
            Turn_NeedsLock();
            var key = (peer.Uid, why);
            if (!_runs.TryGetValue(key, out Run? counted) && _runs.Count >= UidsMax)
                counted = _runs.Values.First();
            if (counted is not null)
            {
                counted.Further++;
                return;
            }
            _runs.Add(key, new Run(peer, why, clock.BootMs));
            Record(peer, why, 1, subject);
        }
    }

    /// <summary>Writes the counted records of minutes that are over.</summary>
    public void Turn()
    {
        lock (_gate)
            Turn_NeedsLock();
    }

    private void Turn_NeedsLock()
    {
        long now = clock.BootMs;
        foreach (((uint, Admission) key, Run run) in _runs)
        {
            if (now - run.SinceMs < MinuteMs)
                continue;
            _runs.Remove(key);
            if (run.Further > 0)
                Record(run.First, run.Why, run.Further);
        }
    }

    private void Record(PeerCredentials peer, Admission why, long count, string? subject = null)
    {
        AuditActor actor = peer == PeerCredentials.None
            ? new AuditActor(socket.Actor, null, null, null, null)
            : new AuditActor(socket.Actor, peer.Uid, peer.Gid, peer.Pid, null);
        AuditDetails details = new() { { "socket", socket.Name }, { "why", Word(why) }, { "count", count } };
        if (subject is not null)
            details.Add("subject", LimitedText.Cut(subject, SubjectBytesMax));
        journal.Noted(new AuditEntry("access_denied", null, actor, AuditOutcome.Refused, details));
    }

    private static string Word(Admission why) => why switch
    {
        Admission.NotAllowed => ProblemCodes.PeerNotAllowed,
        Admission.RateLimited => ProblemCodes.RateLimited,
        Admission.MadeRoom => "made_room",
        _ => ProblemCodes.TooManyConnections,
    };

    private sealed class Run(PeerCredentials first, Admission why, long sinceMs)
    {
        public PeerCredentials First { get; } = first;

        public Admission Why { get; } = why;

        public long SinceMs { get; } = sinceMs;

        public long Further { get; set; }
    }
}

/// <summary>A socket and who connects to it.</summary>
internal sealed record DeniedAt(string Name, AuditActorKind Actor)
{
    public static DeniedAt Pos { get; } = new("pos", AuditActorKind.App);

    public static DeniedAt Admin { get; } = new("admin", AuditActorKind.Operator);
}
