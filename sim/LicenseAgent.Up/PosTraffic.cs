using LicenseAgent.Client;

namespace LicenseAgent.Up;

/// <summary>What the application has seen since a moment.</summary>
internal sealed record TrafficCount(long Valid, long Refused, long Errors, string? LastRefusal, string? LastError)
{
    public long Sent => Valid + Refused + Errors;
}

/// <summary>
/// An application that validates at a steady rate: each request is sent at its intended time, so that a slow answer does
/// not hide the ones behind it. At most 256 wait at a time; what would be sent beyond counts as an error.
/// </summary>
internal sealed class PosTraffic : IAsyncDisposable
{
    private const int WaitingMax = 256;
    private const int LatenciesKept = 4096;
    private static readonly TimeSpan Turn = TimeSpan.FromMilliseconds(4);

    private readonly LicenseAgentClient _client;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private readonly double[] _latencies = new double[LatenciesKept];
    private readonly Task _sending;
    private long _valid, _refused, _errors;
    private string? _lastRefusal, _lastError;
    private int _waiting, _measured;
    private bool _disposed;

    public PosTraffic(LicenseAgentClient client, int rate)
    {
        _client = client;
        Rate = rate;
        _sending = SendAsync();
    }

    public int Rate { get; }

    public TrafficCount Count()
    {
        lock (_gate)
        {
            return new TrafficCount(_valid, _refused, _errors, _lastRefusal, _lastError);
        }
    }

    /// <summary>Counts from here on.</summary>
    public void Reset()
    {
        lock (_gate)
        {
            (_valid, _refused, _errors, _lastRefusal, _lastError, _measured) = (0, 0, 0, null, null, 0);
        }
    }

    /// <summary>Milliseconds from the intended time to the answer, of the latest requests.</summary>
    public (double P50, double P99) Latency()
    {
        lock (_gate)
        {
            double[] sorted = _latencies[..Math.Min(_measured, LatenciesKept)];
            Array.Sort(sorted);
            return sorted.Length == 0
                ? (0, 0)
                : (sorted[sorted.Length / 2], sorted[(int)(sorted.Length * 0.99)]);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        await _stop.CancelAsync();
        await _sending;
        await Wait.UntilAsync(
            () => Task.FromResult(Volatile.Read(ref _waiting) == 0), TimeSpan.FromSeconds(10), CancellationToken.None);
        _client.Dispose();
        _stop.Dispose();
    }

    private async Task SendAsync()
    {
        long begin = TimeProvider.System.GetTimestamp();
        long sent = 0;
        using PeriodicTimer turn = new(Turn);
        try
        {
            while (await turn.WaitForNextTickAsync(_stop.Token))
            {
                double elapsed = TimeProvider.System.GetElapsedTime(begin).TotalSeconds;
                for (; sent < elapsed * Rate; sent++)
                {
                    _ = AskAsync(sent / (double)Rate, begin);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // Stopped.
        }
    }

    private async Task AskAsync(double intendedSeconds, long begin)
    {
        if (Interlocked.Increment(ref _waiting) > WaitingMax)
        {
            Interlocked.Decrement(ref _waiting);
            Note(error: "Too many answers are outstanding.");
            return;
        }

        try
        {
            LicenseValidation answer = await _client.ValidateStoredAsync();
            double ms = (TimeProvider.System.GetElapsedTime(begin).TotalSeconds - intendedSeconds) * 1000;
            lock (_gate)
            {
                _latencies[_measured++ % LatenciesKept] = ms;
            }

            Note(valid: answer.IsValid, refusal: answer.IsValid ? null : answer.Reason);
        }
        catch (AgentException e)
        {
            Note(error: e.Message);
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
    }

    private void Note(bool valid = false, string? refusal = null, string? error = null)
    {
        lock (_gate)
        {
            _valid += valid ? 1 : 0;
            _refused += refusal is null ? 0 : 1;
            _errors += error is null ? 0 : 1;
            _lastRefusal = refusal ?? _lastRefusal;
            _lastError = error ?? _lastError;
        }
    }
}
