using LicenseAgent.Daemon.Audit;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.Replay;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.UnitTests.Daemon.Replay;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Audit;

/// <summary>
/// Log and replay guard through random lives: validations, rotations, closed and retired segments, disk faults, kills,
/// power cuts, reboots. I11, I12, I13, I18 and I19 are checked after every step that could break them. A failure names
/// its seed.
/// </summary>
public sealed class AuditCrashTests
{
    [Theory]
    [InlineData(false, 0)]
    [InlineData(false, 1)]
    [InlineData(true, 2)]
    [InlineData(true, 3)]
    public async Task Nothing_answered_or_fsynced_is_lost_and_no_nonce_is_accepted_twice(bool badDisk, int quarter)
    {
        for (int seed = quarter * 100; seed < (quarter + 1) * 100; seed++)
        {
            var life = new Life(seed, badDisk);
            await life.StartAsync(new DiskOfAudit(), new StandingClock("boot-0", 10_000));
            for (int step = 0; step < 150; step++)
                await life.StepAsync();
        }
    }

    private sealed class Life(int seed, bool badDisk)
    {
        private readonly Random _random = new(seed);
        private readonly List<AuditAnchor> _left = [];
        private readonly Dictionary<(uint, Nonce16), Acceptance> _accepted = [];
        private readonly List<Task<AuditPoint>> _syncing = [];
        private AuditBench _bench = null!;
        private ReplayGuard _guard = null!;
        private TaskCompletionSource? _held;
        private int _boots;

        // Time that passed for certain: what the boots ran.
        private long _ranBefore;

        // A few records a segment, a few segments a log.
        private readonly AuditConfig _config = AuditBench.Config with
        {
            SegmentBytes = 2_000 + (seed % 7 * 1_000),
            MaxBytes = 6_000 + (seed % 5 * 4_000),
            Retention = TimeSpan.FromHours(1),
        };

        private long Ran => _ranBefore + _bench.Clock.BootMs;

        public async Task StartAsync(DiskOfAudit disk, StandingClock clock)
        {
            // What waited for the disk died with its process.
            _held = null;
            _bench = await AuditBench.OpenAsync(disk, clock, config: _config);
            _guard = ReplayGuardTests.Guard();
            ReplayRebuild.Run(disk, _guard, clock);
            CheckLog();
        }

        public async Task StepAsync()
        {
            int choice = _random.Next(100);
            if (choice < 45)
                Validate();
            else if (choice < 55)
                _syncing.Add(_bench.Log.SyncAsync(_bench.Log.Append(AuditBench.Entry("secret_staged", $"op-{Ran}"))));
            else if (choice < 75)
                _bench.Hand.RunAll();
            else if (choice < 79)
                _bench.Hand.FireTimers();
            else if (choice < 82)
                HoldOrReleaseSyncs();
            else if (choice < 88)
                _bench.Clock.BootMs += _random.Next(2) == 0 ? _random.Next(2_000) : _random.Next(500_000);
            else if (choice < 92 && badDisk)
                BreakOrMend();
            else if (choice < 94)
                await KillAsync();
            else if (choice < 96)
                await PowerCutAsync();
            Collect();
        }

        private void Validate()
        {
            (uint, Nonce16) key = ((uint)_random.Next(2), AuditBench.Nonce(_random.Next(40)));
            ReplayVerdict verdict = _guard.TryAccept(key.Item1, key.Item2, _bench.Clock.BootMs);
            _accepted.TryGetValue(key, out Acceptance? before);
            if (verdict == ReplayVerdict.Accepted)
            {
                bool again = before is { MayBeForgotten: false } && Ran - before.At < ReplayGuard.WindowMs;
                Assert.False(again, $"Seed {seed}: accepted twice within {Ran - before?.At} ms.");
                AuditTicket ticket = _bench.Log.Append(AuditBench.Validation(key.Item1, key.Item2));
                _accepted[key] = new Acceptance(Ran, ticket);
            }
            else
            {
                Assert.NotNull(before);
            }
        }

        /// <summary>An fsync takes its time, and the log goes on meanwhile.</summary>
        private void HoldOrReleaseSyncs()
        {
            TaskCompletionSource? held = _held;
            _held = held is null ? new TaskCompletionSource() : null;
            _bench.Disk.BeforeSync = _held is null ? null : () => _held?.Task ?? Task.CompletedTask;
            held?.SetResult();
        }

        private void BreakOrMend()
        {
            bool mend = _random.Next(2) == 0;
            _bench.Disk.Free = mend || _random.Next(2) == 0 ? long.MaxValue : _random.Next(2_000);
            _bench.Disk.FailSyncs = !mend && _random.Next(2) == 0;
            _bench.Disk.FailCuts = !mend && _random.Next(4) == 0;
            _bench.Disk.ForgetOnFailedSync = _random.Next(2) == 0;
            _bench.Disk.FailCloses = mend ? CloseFault.None : (CloseFault)_random.Next(3);
            _bench.Disk.FailMoves = !mend && _random.Next(3) == 0;
        }

        private async Task KillAsync()
        {
            // Answered means written, or counted in a gap. What was not written may be forgotten, and was not answered.
            // So may what a disk took back that failed its fsync.
            foreach (Acceptance known in _accepted.Values)
            {
                known.MayBeForgotten |= known.Ticket.Batch.State is BatchState.Open or BatchState.Lost
                    || (known.Ticket.Batch.State == BatchState.Written && _bench.Disk.HasForgotten);
            }
            CheckAnswered(_bench.Disk);
            var clock = new StandingClock(_bench.Clock.BootId, _bench.Clock.BootMs + 100);
            await StartAsync(_bench.Disk.AfterKill(), clock);
        }

        private async Task PowerCutAsync()
        {
            // Only what a good fsync covered is certain.
            foreach (Acceptance known in _accepted.Values)
                known.MayBeForgotten |= known.Ticket.Batch.State != BatchState.Synced;
            _ranBefore += _bench.Clock.BootMs;
            var clock = new StandingClock($"boot-{++_boots}", _random.Next(60_000));
            await StartAsync(_bench.Disk.AfterPowerCut(_random), clock);
        }

        /// <summary>Points that may have left the process are anchors for ever.</summary>
        private void Collect()
        {
            foreach (Task<AuditPoint> done in _syncing.Where(t => t.IsCompletedSuccessfully))
                _left.Add(new AuditAnchor($"seed {seed}", done.Result));
            _syncing.RemoveAll(t => t.IsCompleted);
            _left.Add(new AuditAnchor($"seed {seed}", _bench.Log.Synced));
            if (_left.Count > 50)
                _left.RemoveRange(0, 25);
        }

        private void CheckLog()
        {
            AuditAnchor[] anchors = [.. _left.Where(a => a.Point.Seq > 0)];
            Assert.Equal([], AuditBench.Verify(_bench.Disk, anchors).Findings);
        }

        private void CheckAnswered(DiskOfAudit disk)
        {
            string text = System.Text.Encoding.UTF8.GetString(disk.Everything());
            foreach (((_, Nonce16 nonce), Acceptance known) in _accepted.Where(a => !a.Value.MayBeForgotten
                && Ran - a.Value.At < ReplayGuard.WindowMs))
            {
                bool there = text.Contains(nonce.ToString(), StringComparison.Ordinal);
                Assert.True(there, $"Seed {seed}: {nonce} was answered and is lost.");
            }
        }

        private sealed record Acceptance(long At, AuditTicket Ticket)
        {
            public bool MayBeForgotten { get; set; }
        }
    }
}
