using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Management;

namespace LicenseAgent.Daemon.LocalApi.Operators;

/// <summary>
/// Keeps who watches the log, or collects the metrics, from filling the log with that: the first look of a process is
/// recorded like any call, further ones as one counted record a minute for as long as they go on. Driven by
/// <see cref="Turn"/>, about once a second. One lock.
/// </summary>
internal sealed class RepeatedLooks(LocalJournal journal, IBootClock clock)
{
    private const long MinuteMs = 60_000;

    // More processes at once are recorded call by call: nothing is lost, the log only grows faster.
    private const int ProcessesMax = 64;

    private readonly Lock _gate = new();
    private readonly Dictionary<(uint Uid, int Pid, string Path), Run> _runs = [];

    /// <summary>Whether the call is counted, and so not recorded by itself.</summary>
    public bool Counts(LocalCall call, AuditEntry entry)
    {
        // Who comes with a certificate over HTTPS is no process of this machine that could be told from another.
        if (call.Method != "GET" || call.Certificate is not null || entry.Outcome != AuditOutcome.Ok
            || call.Path is not (ManagementPaths.Audit or ManagementPaths.Metrics))
        {
            return false;
        }
        lock (_gate)
        {
            Turn_NeedsLock();
            var key = (call.Peer.Uid, call.Peer.Pid, call.Path);
            if (_runs.TryGetValue(key, out Run? run))
            {
                run.Further++;
                return true;
            }
            if (_runs.Count < ProcessesMax)
                _runs.Add(key, new Run(entry, clock.BootMs));
            return false;
        }
    }

    /// <summary>Writes the counted records of minutes that are over.</summary>
    public void Turn()
    {
        lock (_gate)
            Turn_NeedsLock();
    }

    /// <summary>Writes what was counted, before a stop.</summary>
    public void Finish()
    {
        lock (_gate)
        {
            foreach (Run run in _runs.Values.Where(r => r.Further > 0))
                Record(run);
            _runs.Clear();
        }
    }

    private void Turn_NeedsLock()
    {
        foreach ((var key, Run run) in _runs.Where(r => clock.BootMs - r.Value.SinceMs >= MinuteMs).ToList())
        {
            if (run.Further == 0)
            {
                _runs.Remove(key);
                continue;
            }
            Record(run);
            (run.SinceMs, run.Further) = (clock.BootMs, 0);
        }
    }

    private void Record(Run run)
    {
        AuditDetails details = [];
        foreach ((string name, AuditValue value) in run.First.Details)
            details.Add(name, value);
        details.Add("count", run.Further);
        journal.Noted(run.First with { Details = details });
    }

    private sealed class Run(AuditEntry first, long sinceMs)
    {
        public AuditEntry First { get; } = first;

        public long SinceMs { get; set; } = sinceMs;

        public long Further { get; set; }
    }
}
