using System.Diagnostics;
using LicenseAgent.Client;
using LicenseAgent.Protocol.Local;

namespace LicenseAgent.Chaos.Scripts;

/// <summary>What applications saw in one stretch of an experiment.</summary>
internal sealed record Bin(double At)
{
    public int Valid { get; set; }

    public int Refused { get; set; }

    public int Errors { get; set; }

    public double SlowestMs { get; set; }

    public string Mode { get; set; } = "";
}

/// <summary>What applications have seen since a moment.</summary>
/// <param name="Refused">With any reason but that the agent is LOCKED.</param>
internal sealed record Seen(long Valid, long Locked, long Refused, long Errors, string? LastReason);

/// <summary>
/// Applications that validate one token at a steady rate, each request at its intended time, and keep what they saw by
/// stretches of a quarter of a second. At most 2 048 wait; what would be sent beyond counts as an error.
/// </summary>
internal sealed class Traffic(Func<LicenseAgentClient> connect, string token, int rate, Stopwatch clock) : IAsyncDisposable
{
    public const double BinSeconds = 0.25;
    private const int WaitingMax = 2048, BinsMax = 4096;
    private static readonly TimeSpan s_turn = TimeSpan.FromMilliseconds(10), s_drainMax = TimeSpan.FromSeconds(10);

    private readonly CancellationTokenSource _stop = new();
    private readonly LicenseAgentClient _client = connect();
    private readonly List<Bin> _bins = [];
    private readonly Lock _gate = new();
    private Tally _tally = new();
    private Task _sending = Task.CompletedTask;
    private int _waiting;

    public Func<string> Mode { get; init; } = () => "";

    public IReadOnlyList<Bin> Bins
    {
        get
        {
            lock (_gate)
                return [.. _bins];
        }
    }

    public void Start() => _sending = SendAsync();

    /// <summary>What became of the requests sent since the last time this was asked; those still without an answer
    /// when the patience ends count as errors.</summary>
    public async Task<Seen> TakeAsync(CancellationToken cancel)
    {
        Tally taken;
        lock (_gate)
            (taken, _tally) = (_tally, new Tally());
        long start = Stopwatch.GetTimestamp();
        using PeriodicTimer turn = new(s_turn);
        while (!IsComplete(taken) && Stopwatch.GetElapsedTime(start) < s_drainMax)
            await turn.WaitForNextTickAsync(cancel);
        lock (_gate)
        {
            return taken.Waiting == 0
                ? taken.Seen
                : taken.Seen with
                {
                    Errors = taken.Seen.Errors + taken.Waiting,
                    LastReason = $"{taken.Waiting} without an answer",
                };
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _sending;
        long start = Stopwatch.GetTimestamp();
        using PeriodicTimer turn = new(s_turn);
        while (Volatile.Read(ref _waiting) > 0 && Stopwatch.GetElapsedTime(start) < s_drainMax)
            await turn.WaitForNextTickAsync();
        _client.Dispose();
        _stop.Dispose();
    }

    private async Task SendAsync()
    {
        double begin = clock.Elapsed.TotalSeconds;
        long sent = 0;
        using PeriodicTimer turn = new(s_turn);
        try
        {
            while (await turn.WaitForNextTickAsync(_stop.Token))
            {
                for (; sent < (clock.Elapsed.TotalSeconds - begin) * rate; sent++)
                {
                    Tally tally;
                    lock (_gate)
                    {
                        tally = _tally;
                        tally.Waiting++;
                    }

                    _ = AskAsync(begin + (sent / (double)rate), tally);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // Stopped.
        }
    }

    private async Task AskAsync(double intended, Tally tally)
    {
        if (Interlocked.Increment(ref _waiting) > WaitingMax)
        {
            Interlocked.Decrement(ref _waiting);
            Note(tally, intended, b => b.Errors++, s => s with { Errors = s.Errors + 1, LastReason = "2 048 wait already" });
            return;
        }

        try
        {
            LicenseValidation answer = await _client.ValidateAsync(token);
            double took = (clock.Elapsed.TotalSeconds - intended) * 1000;
            Note(
                tally,
                intended,
                b =>
                {
                    b.SlowestMs = Math.Max(b.SlowestMs, took);
                    (b.Valid, b.Refused) = answer.IsValid ? (b.Valid + 1, b.Refused) : (b.Valid, b.Refused + 1);
                },
                s => answer switch
                {
                    { IsValid: true } => s with { Valid = s.Valid + 1 },
                    { Reason: ValidationReasons.Locked } => s with { Locked = s.Locked + 1 },
                    _ => s with { Refused = s.Refused + 1, LastReason = answer.Reason },
                });
        }
        catch (AgentException e)
        {
            Note(tally, intended, b => b.Errors++, s => s with { Errors = s.Errors + 1, LastReason = e.Message });
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
    }

    private void Note(Tally tally, double at, Action<Bin> add, Func<Seen, Seen> count)
    {
        int index = (int)(at / BinSeconds);
        lock (_gate)
        {
            while (_bins.Count <= index && _bins.Count < BinsMax)
                _bins.Add(new Bin(_bins.Count * BinSeconds) { Mode = Mode() });
            if (index < _bins.Count)
                add(_bins[index]);
            tally.Seen = count(tally.Seen);
            tally.Waiting--;
        }
    }

    private bool IsComplete(Tally tally)
    {
        lock (_gate)
            return tally.Waiting == 0;
    }

    /// <summary>The requests of one stretch: an answer counts where its request does, however late it comes.</summary>
    private sealed class Tally
    {
        public Seen Seen { get; set; } = new(0, 0, 0, 0, null);

        public int Waiting { get; set; }
    }
}
