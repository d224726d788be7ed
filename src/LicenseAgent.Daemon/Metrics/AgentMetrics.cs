using LicenseAgent.Core;
using LicenseAgent.Daemon.Secrets;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Local;

namespace LicenseAgent.Daemon.Metrics;

/// <summary>
/// The numbers of one agent. Counters and histograms are counted by any thread without a lock; gauges are set whole by
/// the loop, readers take one volatile read.
/// </summary>
internal sealed class AgentMetrics
{
    // Every name comes from our own code; more than this is a bug that must not become memory.
    private const int MaxTpmOperations = 32;

    // Two clocks read one after the other differ by less from look to look; that alone is no reason to write a file.
    private static readonly TimeSpan s_skewStep = TimeSpan.FromSeconds(0.1);

    private static readonly AgentMode[] s_modes = Enum.GetValues<AgentMode>();

    private readonly DurationHistogram _validationDuration =
        new(0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.01, 0.05, 0.25);

    private readonly Lock _tpmGate = new();
    private readonly SortedDictionary<string, DurationHistogram> _tpmDurations = new(StringComparer.Ordinal);
    private readonly long[] _failedByReason = new long[ValidationReasons.All.Count];
    private readonly string _version;
    private AgentGauges _gauges = AgentGauges.Starting;
    private IReadOnlyList<Protection> _protections = [];
    private long _rotations;
    private long _rotationsFailed;
    private long _validations;
    private long _unauthorized;
    private Func<MovingGauges> _moving = () => default;
    private Action? _counted;

    public AgentMetrics(CounterState restored, string version)
    {
        _version = version;
        Restore(restored);
    }

    public AgentGauges Gauges => Volatile.Read(ref _gauges);

    /// <summary>Told of every count, on the thread that counts.</summary>
    public Action? Counted
    {
        private get => Volatile.Read(ref _counted);
        set => Volatile.Write(ref _counted, value);
    }

    /// <summary>Adds what was counted before this start; called once, when <c>run.json</c> has been read.</summary>
    public void Restore(CounterState before)
    {
        Interlocked.Add(ref _rotations, before.Rotations);
        Interlocked.Add(ref _rotationsFailed, before.RotationsFailed);
        Interlocked.Add(ref _validations, before.Validations);
        Interlocked.Add(ref _unauthorized, before.UnauthorizedAccess);
        foreach (var (reason, count) in before.ValidationsFailed)
        {
            // A reason of another version has no row here; it stays counted in the total.
            if (IndexOf(reason) is >= 0 and var index)
                Interlocked.Add(ref _failedByReason[index], count);
        }
    }

    public CounterState Counters()
    {
        var failed = new SortedDictionary<string, long>(StringComparer.Ordinal);
        for (int i = 0; i < _failedByReason.Length; i++)
        {
            if (Interlocked.Read(ref _failedByReason[i]) is > 0 and var count)
                failed.Add(ValidationReasons.All[i], count);
        }

        return new CounterState(
            Interlocked.Read(ref _rotations), Interlocked.Read(ref _rotationsFailed),
            Interlocked.Read(ref _validations), failed, Interlocked.Read(ref _unauthorized));
    }

    /// <summary>A validation was answered.</summary>
    /// <param name="reason">One of <see cref="ValidationReasons"/>.</param>
    public void Validated(string reason, bool valid, TimeSpan took)
    {
        Interlocked.Increment(ref _validations);
        if (!valid)
        {
            int index = IndexOf(reason);
            InvariantBroken.Unless(index >= 0, $"{reason} is no reason of a validation.");
            Interlocked.Increment(ref _failedByReason[index]);
        }

        _validationDuration.Observe(took);
        Counted?.Invoke();
    }

    /// <summary>A connection or call was turned away.</summary>
    public void AccessDenied()
    {
        Interlocked.Increment(ref _unauthorized);
        Counted?.Invoke();
    }

    /// <summary>A rotation was committed, or given up until the next try.</summary>
    public void RotationEnded(bool succeeded)
    {
        Interlocked.Increment(ref _rotations);
        if (!succeeded)
            Interlocked.Increment(ref _rotationsFailed);
        Counted?.Invoke();
    }

    /// <param name="operation">Snake case, one of a handful.</param>
    public void TpmOperationEnded(string operation, TimeSpan took)
    {
        DurationHistogram? histogram;
        lock (_tpmGate)
        {
            if (!_tpmDurations.TryGetValue(operation, out histogram))
            {
                InvariantBroken.Unless(_tpmDurations.Count < MaxTpmOperations, "Too many names of TPM operations.");
                histogram = new DurationHistogram(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10);
                _tpmDurations.Add(operation, histogram);
            }
        }

        histogram.Observe(took);
        Counted?.Invoke();
    }

    /// <summary>What the self-test at start found; set once, before anything is rendered.</summary>
    public void SetProtections(IReadOnlyList<Protection> protections) => Volatile.Write(ref _protections, protections);

    /// <returns>Whether anything differs from before.</returns>
    public bool Set(AgentGauges gauges) => Interlocked.Exchange(ref _gauges, gauges) != gauges;

    /// <summary>Where to read what moves all the time; asked at each look, from any thread.</summary>
    public void Follow(Func<MovingGauges> moving) => Volatile.Write(ref _moving, moving);

    /// <summary>
    /// What stands in the rendered text, in a few reads: while it is the same the text is. A change on its way through
    /// another thread shows here no later than in the text.
    /// </summary>
    public MetricsMark Mark()
    {
        long failed = 0;
        for (int i = 0; i < _failedByReason.Length; i++)
            failed += Interlocked.Read(ref _failedByReason[i]);
        var (observed, ticks) = _validationDuration.Seen;
        lock (_tpmGate)
        {
            foreach (var histogram in _tpmDurations.Values)
            {
                var (operations, took) = histogram.Seen;
                (observed, ticks) = (observed + operations, ticks + took);
            }
        }

        MovingGauges moving = Volatile.Read(ref _moving)();
        return new MetricsMark(
            Gauges, Volatile.Read(ref _protections), Interlocked.Read(ref _rotations),
            Interlocked.Read(ref _rotationsFailed), Interlocked.Read(ref _validations), failed,
            Interlocked.Read(ref _unauthorized), moving.AuditSeq,
            moving.ClockSkew.Ticks / s_skewStep.Ticks, observed, ticks);
    }

    public string Render()
    {
        var text = new PrometheusText();
        var counters = Counters();
        WriteCounters(text, counters);
        WriteGauges(text, Gauges);
        MovingGauges moving = Volatile.Read(ref _moving)();
        text.Gauge("audit_seq", "Sequence number of the newest audit record.", moving.AuditSeq);
        text.Gauge(
            "clock_skew_seconds", "Wall clock minus trusted now.", Math.Round(moving.ClockSkew.TotalSeconds, 3));
        text.Family("build_info", "gauge", "Always 1; the version is in the label.")
            .Sample("", 1, ("version", _version));
        WriteProtections(text);
        _validationDuration.Write(text.Family(
            "validation_duration_seconds", "histogram", "Time to answer a validation, audit record included."));
        var tpm = text.Family("tpm_operation_duration_seconds", "histogram", "Time of TPM operations.");
        lock (_tpmGate)
        {
            foreach (var (operation, histogram) in _tpmDurations)
                histogram.Write(tpm, ("operation", operation));
        }

        return text.ToString();
    }

    // The requirements name counters without "_total"; each has a twin with the conventional name and the same value.
    private static void WriteCounters(PrometheusText text, CounterState counters)
    {
        long failed = counters.ValidationsFailed.Values.Sum();
        text.Counter("rotations_total", "Rotations that ended, failed ones included.", counters.Rotations);
        text.Counter("rotations_failed", "Rotations that failed.", counters.RotationsFailed);
        text.Counter("rotation_failures_total", "Rotations that failed.", counters.RotationsFailed);
        text.Counter("validations_total", "Validations answered.", counters.Validations);
        text.Counter("validations_failed", "Validations answered with anything but VALID.", failed);
        text.Counter(
            "unauthorized_access_total", "Connections and calls turned away for who made them.",
            counters.UnauthorizedAccess);
        var byReason = text.Family(
            "validation_failures_total", "counter", "Validations answered with anything but VALID, by reason.");
        foreach (string reason in ValidationReasons.All)
        {
            if (reason != ValidationReasons.Valid)
                byReason.Sample("", counters.ValidationsFailed.GetValueOrDefault(reason), ("reason", reason));
        }
    }

    private static void WriteGauges(PrometheusText text, AgentGauges gauges)
    {
        text.Gauge("secrets_active", "Secrets in state ACTIVE.", gauges.SecretsActive);
        text.Gauge("secrets_grace", "Secrets in state GRACE.", gauges.SecretsGrace);
        text.Gauge("degraded_mode", "1 while the mode is DEGRADED.", gauges.Mode == AgentMode.Degraded ? 1 : 0);
        text.Gauge("tpm_available", "1 while the TPM answers.", gauges.TpmAvailable ? 1 : 0);
        text.Gauge(
            "software_fallback", "1 while software keys take the place of a lost TPM.",
            gauges.SoftwareFallback ? 1 : 0);
        double lastRotation = Seconds(gauges.LastRotation) ?? 0;
        text.Gauge("last_rotation", "Unix time of the last completed rotation, 0 before the first.", lastRotation);
        text.Gauge(
            "last_rotation_timestamp_seconds", "Unix time of the last completed rotation, 0 before the first.",
            lastRotation);
        text.Gauge(
            "secret_expiry_timestamp_seconds", "End of the ACTIVE secret's normal life.", Seconds(gauges.SecretExpiry));
        text.Gauge("grace_until_timestamp_seconds", "End of the ACTIVE secret's use.", Seconds(gauges.GraceUntil));
        text.Gauge(
            "client_cert_expiry_timestamp_seconds", "End of the agent's client certificate.",
            Seconds(gauges.ClientCertExpiry));
        text.Gauge(
            "rotation_consecutive_failures", "Failed rotations since the last success.", gauges.RotationFailuresInARow);
        text.Gauge("audit_chain_ok", "1 while the audit chain is whole.", gauges.AuditChainOk ? 1 : 0);
        var modes = text.Family("mode", "gauge", "1 for the mode that holds.");
        foreach (var mode in s_modes)
            modes.Sample("", mode == gauges.Mode ? 1 : 0, ("mode", ModeText.Of(mode)));
    }

    private void WriteProtections(PrometheusText text)
    {
        var family = text.Family(
            "memory_protection", "gauge", "1 for each protection of secrets in memory that held at start.");
        foreach (var protection in Volatile.Read(ref _protections))
            family.Sample("", protection.Holds ? 1 : 0, ("protection", protection.Name));
    }

    private static double? Seconds(UtcTime? time) => time is { } known ? known.UnixMs / 1000.0 : null;

    private static int IndexOf(string reason)
    {
        var all = ValidationReasons.All;
        for (int i = 0; i < all.Count; i++)
        {
            if (all[i] == reason)
                return i;
        }

        return -1;
    }
}

/// <summary>One moment of the metrics, cheap to take and to compare. Counters only grow, so sums suffice.</summary>
internal readonly record struct MetricsMark(
    AgentGauges Gauges, IReadOnlyList<Protection> Protections, long Rotations, long RotationsFailed, long Validations,
    long Failed, long Unauthorized, long AuditSeq, long ClockSkewSteps, long Observed, long Ticks);
