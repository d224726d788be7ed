using System.Text;
using LicenseAgent.Daemon.Audit;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Daemon.Replay;

/// <summary>
/// Gives a new <see cref="ReplayGuard"/> what the last run knew, from the audit log: there is no second store. Lines
/// are read backwards while they can be less than 900 s old.
/// <para>
/// In this boot each nonce counts from its record's <c>up</c>. Records of other boots have no place on this boot's
/// clock: what was accepted in the last 900 s before the last record is held for 900 s from now. Between two boots at
/// least the later one's <c>up</c> has passed; that alone is taken as known.
/// </para>
/// </summary>
internal static class ReplayRebuild
{
    // Threads read the clock before they take their place in the log, so neighbours may stand in the wrong order.
    private const long DisorderMs = 5_000;

    /// <returns>How many nonces were restored.</returns>
    /// <exception cref="StorageException">The log cannot be read.</exception>
    public static int Run(IAuditFile file, ReplayGuard guard, IBootClock clock)
    {
        long now = clock.BootMs;
        byte[] thisBoot = Encoding.UTF8.GetBytes(clock.BootId);
        var held = new List<RememberedNonce>();
        var counting = new List<RememberedNonce>();
        var age = new AgeBackwards();
        var lines = new BackwardLines(file);
        while (lines.MoveNext())
        {
            if (!AuditLine.TryParse(lines.Current, out AuditLine line))
                continue;
            if (age.Of(line.Boot, line.UpMs) > ReplayGuard.WindowMs + DisorderMs)
                break;
            if (!line.TryGetNonce(out uint uid, out Nonce16 nonce))
                continue;
            if (line.Boot.SequenceEqual(thisBoot))
                counting.Add(new RememberedNonce(uid, nonce, Math.Min(line.UpMs, now)));
            else
                held.Add(new RememberedNonce(uid, nonce, now));
        }
        counting.Reverse();
        guard.Restore(counting.Where(n => n.BootMs > now - ReplayGuard.WindowMs));
        guard.Restore(held);
        return guard.Count;
    }

    /// <summary>The least age a record can have, seen from the last one, while walking backwards over boots.</summary>
    private struct AgeBackwards
    {
        private byte[]? _boot;
        private long _newestUpMs;
        private long _passedMs;

        public long Of(ReadOnlySpan<byte> boot, long upMs)
        {
            if (!boot.SequenceEqual(_boot))
            {
                _passedMs += _newestUpMs;
                (_boot, _newestUpMs) = (boot.ToArray(), upMs);
            }
            return _passedMs + (_newestUpMs - upMs);
        }
    }
}
