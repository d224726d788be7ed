using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using LicenseAgent.Chaos.Sweep;
using LicenseAgent.Client;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Testbed.Net;
using LicenseAgent.Testbed.Tpm;

namespace LicenseAgent.Chaos.Scripts;

/// <summary>A stretch of an experiment in which a fault held.</summary>
internal sealed record FaultSpan(string Name, double From, double To);

/// <summary>What came of an experiment.</summary>
/// <param name="Broken">What did not hold, with its line; empty when all held.</param>
internal sealed record ScriptOutcome(
    Experiment Experiment, string Broken, TimeSpan Took, IReadOnlyList<Bin> Bins, IReadOnlyList<FaultSpan> Faults)
{
    public IReadOnlyList<PointOutcome> Points { get; init; } = [];

    public bool Held => Broken.Length == 0;
}

/// <summary>An expectation of an experiment that was not met.</summary>
internal sealed class NotMetException(string message) : Exception(message);

/// <summary>
/// Carries out the steps of an experiment on a stage of its own, one after the other. At the end, whatever it did: the
/// audit log is verified by its bytes, and everything is taken down.
/// </summary>
internal sealed class ScriptRun(Experiment experiment, Action<string> progress) : IAsyncDisposable
{
    private const int ModeSeconds = 30;
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(5), s_poll = TimeSpan.FromMilliseconds(100);

    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly List<FaultSpan> _faults = [];
    private (string Name, double From)? _fault;
    private long _versionSeen;
    private string _mode = "";
    private Traffic? _traffic;
    private IReadOnlyList<Bin> _bins = [];

    public async Task<ScriptOutcome> RunAsync(CancellationToken cancel)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(s_limit);
        string broken = "";
        try
        {
            StageSettings settings = new(
                experiment.Setting("disk"), experiment.Setting("segments"), experiment.Setting("kept"),
                WithFaults: experiment.Steps.Any(s => s.Verb == "server"),
                WithBus: experiment.Steps.Any(s => s.Verb == "bus"));
            await using Stage stage = await Stage.OpenAsync(settings, limit.Token);
            _clock.Restart();
            try
            {
                await StepsAsync(stage, limit.Token);
            }
            finally
            {
                await DisposeAsync();
            }
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            broken = $"It was not over after {s_limit.TotalMinutes:0} minutes.";
        }
        catch (Exception e) when (e is NotMetException or TimeoutException or AgentException
            or InvalidOperationException or IOException or FormatException)
        {
            broken = e.Message;
        }

        Heal();
        return new ScriptOutcome(experiment, broken, _clock.Elapsed, _bins, _faults);
    }

    /// <summary>Ends the applications; what they saw is kept.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_traffic is not { } traffic)
            return;
        _traffic = null;
        await traffic.DisposeAsync();
        _bins = traffic.Bins;
    }

    private async Task StepsAsync(Stage stage, CancellationToken cancel)
    {
        foreach (Step step in experiment.Steps)
        {
            progress(step.Text);
            try
            {
                await StepAsync(stage, step, cancel);
            }
            catch (Exception e) when (e is NotMetException or AgentException or InvalidOperationException)
            {
                throw new NotMetException($"line {step.Line}, {step.Text}: {e.Message}");
            }
        }

        AuditBooks log = AuditBooks.Read(stage.Folder);
        if (log.Findings is [var first, ..])
            throw new NotMetException($"I18: {first.File}:{first.Line}: {first.Code}: {first.Detail}");
    }

    private async Task StepAsync(Stage stage, Step step, CancellationToken cancel)
    {
        switch (step.Verb)
        {
            case "traffic": StartTraffic(stage, step.Number(0)); break;
            case "wait": await Task.Delay(TimeSpan.FromSeconds(step.Number(0)), cancel); break;
            case "fault": _fault = (string.Join(' ', step.Words), _clock.Elapsed.TotalSeconds); break;
            case "healed": Heal(); break;
            case "kill": await KillAsync(stage, step.Word(0)); break;
            case "start": await StartAsync(stage, step, cancel); break;
            case "stop": Signal(stage, step.Word(0), stop: true); break;
            case "continue": Signal(stage, step.Word(0), stop: false); break;
            case "network": stage.Network.Conditions = NetworkOf(step); break;
            case "server": await stage.Server.TellAsync(string.Join(' ', step.Words), cancel); break;
            case "bus": await TpmProxy.TellAsync(stage.BusFaults, string.Join(' ', step.Words), cancel); break;
            case "rotate": await RotateAsync(stage, step.Word(0), cancel); break;
            case "mode": await ModeAsync(stage, step, cancel); break;
            case "expect": await ExpectAsync(step.Word(0), cancel); break;
            case "save": stage.Save(step.Word(0), step.Word(1)); break;
            case "restore": await stage.RestoreAsync(step.Word(0), step.Word(1), cancel); break;
            case "replace": await stage.ReplaceTpmAsync(cancel); break;
            case "power-cuts": await PowerCutsAsync(stage, step.Number(0), cancel); break;
            case "fill": stage.FillDisk(); break;
            case "free": stage.FreeDisk(); break;
            case "validate": await ValidateAsync(stage, step.Number(0), cancel); break;
            case "end": await stage.Agent.Process.TerminateAsync(cancel); break;
            case "tamper": await new TamperSteps(stage.Folder, progress).RunAsync(cancel); break;
            case "twin": await stage.TwinAsync(step.Word(0), cancel); break;
            case "alert": await AlertAsync(stage, step, cancel); break;
            case "approve": await stage.ApproveAsync(cancel); break;
            case "smoke" or "disk" or "segments" or "kept": break;
            default: throw new FormatException($"line {step.Line}: {step.Verb} is not for an experiment of steps.");
        }
    }

    private static NetworkConditions NetworkOf(Step step)
    {
        string said = string.Join(' ', step.Words);
        try
        {
            return NetworkConditions.Parse(said.StartsWith('{') ? said : $$"""{"mode":"{{said}}"}""");
        }
        catch (JsonException e)
        {
            throw new FormatException($"line {step.Line}: {e.Message}");
        }
    }

    private void StartTraffic(Stage stage, int rate)
    {
        _traffic = new Traffic(stage.Connect, stage.Token, rate, _clock) { Mode = () => _mode };
        _traffic.Start();
    }

    private void Heal()
    {
        if (_fault is { } fault)
            _faults.Add(new FaultSpan(fault.Name, fault.From, _clock.Elapsed.TotalSeconds));
        _fault = null;
    }

    private static Task KillAsync(Stage stage, string whom) => whom switch
    {
        "agent" => stage.Agent.Process.KillAsync(),
        "tpm" => stage.Tpm.KillAsync(),
        "server" => stage.Server.KillAsync(),
        _ => throw new FormatException($"Nobody is called {whom}; there are agent, tpm, server."),
    };

    private static Task StartAsync(Stage stage, Step step, CancellationToken cancel) => step.Word(0) switch
    {
        "agent" => stage.StartAgentAsync(
            step.Words.Count > 2 && step.Word(1) == "clock" ? string.Join(' ', step.Words.Skip(2)) : null, cancel),
        "tpm" => stage.Tpm.RestartAsync(cancel),
        "server" => stage.Server.RestartAsync(cancel),
        var whom => throw new FormatException($"Nobody is called {whom}; there are agent, tpm, server."),
    };

    private static void Signal(Stage stage, string whom, bool stop)
    {
        switch (whom, stop)
        {
            case ("agent", true): stage.Agent.Process.Stop(); break;
            case ("agent", false): stage.Agent.Process.Continue(); break;
            case ("tpm", true): stage.Tpm.Stop(); break;
            case ("tpm", false): stage.Tpm.Continue(); break;
            case ("server", true): stage.Server.Process.Stop(); break;
            case ("server", false): stage.Server.Process.Continue(); break;
            default: throw new FormatException($"Nobody is called {whom}; there are agent, tpm, server.");
        }
    }

    private async Task RotateAsync(Stage stage, string expected, CancellationToken cancel)
    {
        RotateOutcome outcome;
        try
        {
            outcome = (await stage.Operator.RotateAsync(cancel)).Value;
        }
        catch (AgentException e) when (expected is "fails" or "any" && e.Fault == AgentFault.Refused)
        {
            // Refused at once: that is how it fails where nothing can be recorded.
            return;
        }

        bool rotated = outcome.Outcome == "rotated";
        if (expected != "any" && rotated != (expected == "ok"))
            throw new NotMetException($"the rotation was {outcome.Outcome} ({outcome.Reason})");
        if (rotated && outcome.Version <= _versionSeen)
            throw new NotMetException($"I06: version {outcome.Version} after {_versionSeen}");
        _versionSeen = Math.Max(_versionSeen, rotated ? outcome.Version ?? 0 : 0);
    }

    private static async Task ValidateAsync(Stage stage, int times, CancellationToken cancel)
    {
        using LicenseAgentClient application = stage.Connect();
        for (int i = 0; i < times; i++)
        {
            if (await application.ValidateAsync(stage.Token, cancel) is { IsValid: false } refused)
                throw new NotMetException($"validation {i + 1} is {refused.Reason}");
        }
    }

    private async Task AlertAsync(Stage stage, Step step, CancellationToken cancel)
    {
        TimeSpan start = _clock.Elapsed, within = TimeSpan.FromSeconds(step.Behind("within", ModeSeconds));
        using PeriodicTimer turn = new(s_poll);
        while (_clock.Elapsed - start < within)
        {
            StatusResponse? status = await stage.TryStatusAsync(cancel);
            if (status?.Alerts.Any(a => a.Id == step.Word(0)) == true)
                return;
            await turn.WaitForNextTickAsync(cancel);
        }

        throw new NotMetException("the alert was never raised");
    }

    /// <summary><c>mode A or B [reason R] [tpm T] [of twin] [within S]</c>; the version seen on the way must never go
    /// down.</summary>
    private async Task ModeAsync(Stage stage, Step step, CancellationToken cancel)
    {
        string[] wanted =
            [.. step.Words.TakeWhile(w => w is not ("within" or "reason" or "tpm" or "of")).Where(w => w != "or")];
        string? reason = step.After("reason"), tpm = step.After("tpm");
        bool ofTwin = step.After("of") == "twin";
        TimeSpan within = TimeSpan.FromSeconds(step.Behind("within", ModeSeconds));
        TimeSpan start = _clock.Elapsed;
        StatusResponse? status = null;
        using PeriodicTimer turn = new(s_poll);
        while (_clock.Elapsed - start < within)
        {
            status = ofTwin ? await stage.Twin.TryStatusAsync(cancel) : await stage.TryStatusAsync(cancel);
            long active = ofTwin ? 0 : status?.ActiveSecret?.Version ?? 0;
            _mode = ofTwin ? _mode : status?.Mode ?? "";
            if (active != 0 && active < _versionSeen)
                throw new NotMetException($"I06: version {active} was ACTIVE after {_versionSeen}");
            _versionSeen = Math.Max(_versionSeen, active);
            if (status is not null && wanted.Contains(status.Mode) && (reason is null || status.LockReason == reason)
                && (tpm is null || status.TpmStatus.State == tpm))
            {
                return;
            }

            await turn.WaitForNextTickAsync(cancel);
        }

        throw new NotMetException(
            $"it is {status?.Mode ?? "not answering"} {status?.LockReason}, TPM {status?.TpmStatus.State}, alerts "
            + string.Join(", ", status?.Alerts.Select(a => a.Id) ?? []));
    }

    /// <summary>Of what applications saw since the last <c>expect</c>: <c>valid</c>: all valid; <c>no-refusal</c>: none but
    /// LOCKED, which an agent says while it starts; <c>anything</c>: only starts counting anew.</summary>
    private async Task ExpectAsync(string what, CancellationToken cancel)
    {
        Traffic traffic = _traffic ?? throw new NotMetException("there is no traffic");
        Seen seen = await traffic.TakeAsync(cancel);
        bool met = what switch
        {
            "valid" => seen is { Valid: > 0, Locked: 0, Refused: 0, Errors: 0 },
            "no-refusal" => seen is { Refused: 0 },
            "anything" => true,
            _ => throw new FormatException($"Nothing is called {what}."),
        };
        if (!met)
        {
            throw new NotMetException(string.Create(
                CultureInfo.InvariantCulture,
                $"{seen.Valid} valid, {seen.Locked} locked, {seen.Refused} refused, {seen.Errors} errors, last: {seen.LastReason}"));
        }
    }

    private static async Task PowerCutsAsync(Stage stage, int times, CancellationToken cancel)
    {
        for (int i = 0; i < times; i++)
        {
            await stage.Tpm.RestartAsync(cancel);

            // In use again, so that the next cut comes while it is.
            await stage.Operator.TpmAsync(cancel);
        }

        TpmResponse tpm = (await stage.Operator.TpmAsync(cancel)).Value;
        if (tpm.LockoutCounter is not (0 or null))
            throw new NotMetException($"the lockout counter is {tpm.LockoutCounter}");
    }
}
