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
        var found = new Found(Encoding.UTF8.GetBytes(clock.BootId), now);
        BackwardLines? lines = BackwardLines.OfChain(file);
        while (lines is not null)
            lines = Collect(lines, ref found) is { } before ? ChainBefore(file, before) : null;
        found.Counting.Reverse();
        guard.Restore(found.Counting.Where(n => n.BootMs > now - ReplayGuard.WindowMs));
        guard.Restore(found.Held);
        return guard.Count;
    }

    /// <returns>The last file of the chain before, where the first record names it and is recent enough.</returns>
    private static string? Collect(BackwardLines lines, ref Found found)
    {
        string? before = null;
        while (lines.MoveNext())
        {
            if (!AuditLine.TryParse(lines.Current, out AuditLine line))
                continue;
            if (found.Age.Of(line.Boot, line.UpMs) > ReplayGuard.WindowMs + DisorderMs)
                return null;
            if (line.TryGetNonce(out uint uid, out Nonce16 nonce))
                found.Add(line.Boot, new RememberedNonce(uid, nonce, line.UpMs));
            before ??= line.Event.SequenceEqual("chain_started"u8) ? ClosedName(line.Details) : null;
        }
        return before;
    }

    private static BackwardLines? ChainBefore(IAuditFile file, string name)
    {
        List<AuditSegment> files = AuditSegments.SetAsideChain(file, name);
        return files.Count == 0 ? null : new BackwardLines(file, files);
    }

    private static string? ClosedName(ReadOnlySpan<byte> details)
    {
        ReadOnlySpan<byte> head = "{\"closed\":\""u8;
        int end = details.StartsWith(head) ? details[head.Length..].IndexOf((byte)'"') : -1;
        return end < 0 ? null : Encoding.UTF8.GetString(details.Slice(head.Length, end));
    }

    private struct Found(byte[] thisBoot, long now)
    {
        public AgeBackwards Age;

        public readonly List<RememberedNonce> Counting { get; } = [];

        public readonly List<RememberedNonce> Held { get; } = [];

        public readonly void Add(ReadOnlySpan<byte> boot, RememberedNonce nonce)
        {
            if (boot.SequenceEqual(thisBoot))
                Counting.Add(nonce with { BootMs = Math.Min(nonce.BootMs, now) });
            else
                Held.Add(nonce with { BootMs = now });
        }
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
