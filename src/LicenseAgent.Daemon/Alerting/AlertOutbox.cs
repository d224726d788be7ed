using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Logging;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Encoding;
using Microsoft.Extensions.Logging;

namespace LicenseAgent.Daemon.Alerting;

/// <summary>Where alerts are sent, and what signs them.</summary>
/// <param name="TrustedNow">At a reading of CLOCK_BOOTTIME, milliseconds.</param>
internal sealed record OutboxPorts(
    IWebhook Webhook, IWorkItems Work, IBootClock Clock, TimeProvider Time, IRandomness Randomness,
    Func<long, UtcTime> TrustedNow);

/// <summary>
/// Notices of alerts on their way to the webhook: in order, one at a time, each until the receiver answers with 2xx.
/// The loop only puts them in; sending runs on work items. At most 64 wait: one more takes the place of the oldest, one
/// older than a day is given up, and either is counted, logged once and told to the receiver with the next that
/// arrives. Without a receiver in the configuration nothing is kept. One lock, never held over a call.
/// </summary>
internal sealed class AlertOutbox(OutboxPorts ports, AlertsConfig started, ILogger logger) : IDisposable
{
    public const int NoticesMax = 64;

    private const long GivenUpAfterMs = 24 * 3_600_000L;
    private const int BackoffExponentMax = 9;
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan BackoffMin = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan BackoffMax = TimeSpan.FromMinutes(5);

    private readonly Lock _gate = new();
    private readonly List<Waiting> _waiting = [];
    private readonly CancellationTokenSource _stopped = new();
    private AlertsConfig _config = started;
    private ITimer? _retry;
    private bool _sending;
    private long _dropped;
    private int _failuresInARow;

    /// <summary>Notices that were given up since the last one that arrived.</summary>
    public long Dropped
    {
        get
        {
            lock (_gate)
                return _dropped;
        }
    }

    /// <summary>
    /// Another receiver, another secret, or neither, from the next notice sent on; what waits goes there, at once.
    /// The same again changes nothing, nor when the next try is.
    /// </summary>
    public void Use(AlertsConfig config)
    {
        lock (_gate)
        {
            if (config.WebhookUrl == _config.WebhookUrl
                && config.WebhookSecret.AsSpan().SequenceEqual(_config.WebhookSecret))
            {
                return;
            }
            _config = config;
            _failuresInARow = 0;
            if (!_sending)
                Start_NeedsLock();
        }
    }

    /// <summary>Any thread; returns at once.</summary>
    public void Add(AlertNotice notice)
    {
        Span<byte> id = stackalloc byte[16];
        ports.Randomness.Fill(id);
        lock (_gate)
        {
            if (_config.WebhookUrl is null)
                return;

            // The first may be on its way already: the one behind it is the oldest that can go.
            if (_waiting.Count == NoticesMax)
                Drop_NeedsLock(_sending ? 1 : 0);
            _waiting.Add(new Waiting(notice with { Id = Convert.ToHexStringLower(id) }, ports.Clock.BootMs));

            // While it fails, the back-off alone says when to try.
            if (!_sending && _failuresInARow == 0)
                Start_NeedsLock();
        }
    }

    public void Dispose()
    {
        _stopped.Cancel();
        lock (_gate)
            _retry?.Dispose();
    }

    private void Start_NeedsLock()
    {
        _sending = true;
        ports.Work.Queue(() => _ = SendAsync());
    }

    private void OnRetryTimer()
    {
        lock (_gate)
        {
            if (!_sending)
                Start_NeedsLock();
        }
    }

    /// <summary>Sends until nothing waits or one fails. Ends its own failures.</summary>
    private async Task SendAsync()
    {
        try
        {
            while (Next(out AlertsConfig config) is { } next)
            {
                if (await FailedAsync(next, config) is { } reason)
                {
                    Postpone(reason);
                    return;
                }
                OnArrived(next);
            }
        }
        catch (OperationCanceledException) when (_stopped.IsCancellationRequested)
        {
            // The agent stops; alerts that still hold are raised again after the start.
        }
        catch (Exception e)
        {
            // The root of this task: a bug. Alerts still stand in log, audit and status.
            AgentEvents.Failed(logger, e, "Sending alerts to the webhook stopped on a bug.");
        }
    }

    private Waiting? Next(out AlertsConfig config)
    {
        lock (_gate)
        {
            config = _config;
            if (config.WebhookUrl is null)
                _waiting.Clear();
            while (_waiting.Count > 0 && ports.Clock.BootMs - _waiting[0].SinceBootMs > GivenUpAfterMs)
                Drop_NeedsLock(0);
            _sending = _waiting.Count > 0;
            return _sending ? _waiting[0] with { Dropped = _dropped } : null;
        }
    }

    /// <returns>Why it did not arrive; <see langword="null"/> when it did.</returns>
    private async Task<string?> FailedAsync(Waiting next, AlertsConfig config)
    {
        byte[] body = (next.Notice with { Dropped = next.Dropped }).ToBody();
        string signature = AlertNotice.Sign(config.WebhookSecret, ports.TrustedNow(ports.Clock.BootMs), body);
        try
        {
            int status = await ports.Webhook.PostAsync(
                config.WebhookUrl!, body, signature, Deadline, _stopped.Token);
            return status is >= 200 and < 300 ? null : $"it answered {status}";
        }
        catch (WebhookException e)
        {
            return e.Message;
        }
    }

    private void OnArrived(Waiting arrived)
    {
        lock (_gate)
        {
            _waiting.RemoveAt(0);
            _dropped -= arrived.Dropped;
            _failuresInARow = 0;
        }
    }

    private void Postpone(string reason)
    {
        lock (_gate)
        {
            _sending = false;
            if (_failuresInARow++ == 0)
                AgentEvents.WebhookFailed(logger, reason);
            double ms = Math.Min(
                BackoffMin.TotalMilliseconds * (1 << Math.Min(_failuresInARow - 1, BackoffExponentMax)),
                BackoffMax.TotalMilliseconds);
            _retry ??= ports.Time.CreateTimer(
                _ => OnRetryTimer(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            _retry.Change(TimeSpan.FromMilliseconds(ms * (0.5 + (0.5 * Draw()))), Timeout.InfiniteTimeSpan);
        }
    }

    private double Draw()
    {
        Span<byte> chance = stackalloc byte[2];
        ports.Randomness.Fill(chance);
        return BitConverter.ToUInt16(chance) / 65_536.0;
    }

    private void Drop_NeedsLock(int index)
    {
        if (_dropped++ == 0)
            AgentEvents.WebhookOverflowed(logger, _waiting[index].Notice.Alert);
        _waiting.RemoveAt(index);
    }

    private sealed record Waiting(AlertNotice Notice, long SinceBootMs, long Dropped = 0);
}
