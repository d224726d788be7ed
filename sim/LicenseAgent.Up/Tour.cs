using System.Globalization;
using LicenseAgent.Client;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Testbed.Processes;

namespace LicenseAgent.Up;

/// <summary>
/// The guided tour: one till through a day and its mishaps, in about a minute. Every step is checked; the first that is
/// not seen ends the tour with exit code 1.
/// </summary>
internal sealed class Tour(Screen screen)
{
    private const int Rate = 500;

    // A server's day in seconds: rotation every 8, normal life 16, grace 2 minutes, check-in every 2.
    private static readonly StageSettings Settings = new(
        new ServerSettings
        {
            RotationInterval = TimeSpan.FromSeconds(8),
            GracePeriod = TimeSpan.FromMinutes(2),
            CheckInInterval = TimeSpan.FromSeconds(2),
        },
        PosRate: 4 * Rate);

    private readonly long _start = TimeProvider.System.GetTimestamp();
    private string _step = "start";

    public async Task<int> RunAsync(CancellationToken cancel)
    {
        screen.Line("Starting a TPM emulator, a license server and an agent ...");
        await using Stage stage = await Stage.OpenAsync(Settings, cancel);
        try
        {
            await WalkAsync(stage, cancel);
            screen.Line($"Every step was seen, in {Elapsed.TotalSeconds:0} s. Everything is stopped and removed.");
            return 0;
        }
        catch (Exception e) when (e is NotSeen or TimeoutException or AgentException or InvalidOperationException)
        {
            screen.Missed(Elapsed, _step, e.Message);

            // What the agents say comes through a pipe: their last words may still be in it.
            await Task.Delay(TimeSpan.FromSeconds(1), cancel);
            foreach (StageTill till in stage.Tills)
            {
                screen.Line($"What the agent of {till.Name} said last:");
                screen.Line(Tail(till.Agent?.Process.Said ?? "", 12));
            }

            return 1;
        }
    }

    private TimeSpan Elapsed => TimeProvider.System.GetElapsedTime(_start);

    private async Task WalkAsync(Stage stage, CancellationToken cancel)
    {
        _step = "start";
        StageTill till = await stage.AddTillAsync(cancel);
        Seen($"{till.Name} ({till.Shop}) is up, LOCKED: not enrolled");

        _step = "enrol";
        await stage.EnrollAsync(till, cancel);
        StatusResponse enrolled = await till.StatusAsync(cancel);
        Seen($"keys made in the TPM, secret v{enrolled.ActiveSecret!.Version} ACTIVE, mode {enrolled.Mode}");

        _step = "validate";
        string token = await IssueAsync(stage, till, cancel);
        using LicenseAgentClient application = till.NewClient(token);
        LicenseValidation first = await application.ValidateStoredAsync(cancel);
        Require(first.IsValid, $"the license was refused: {first.Reason}");
        Seen($"{first.LicenseId} for {first.Product} is VALID until {first.UsableUntil}");

        PosTraffic traffic = till.StartTraffic(token, Rate);
        await RotateUnderLoadAsync(till, traffic, cancel);
        await ServerLostAsync(stage, till, traffic, cancel);
        await ReplayAsync(till, token, cancel);
        await TpmLostAsync(till, traffic, cancel);
        await TamperAsync(till, cancel);
    }

    private async Task RotateUnderLoadAsync(StageTill till, PosTraffic traffic, CancellationToken cancel)
    {
        _step = "rotate under load";
        await Wait.UntilAsync(() => Task.FromResult(traffic.Count().Valid > Rate), TimeSpan.FromSeconds(30), cancel);
        traffic.Reset();
        long before = (await till.StatusAsync(cancel)).ActiveSecret!.Version;
        RotateOutcome outcome = (await till.Operator.RotateAsync(cancel)).Value;
        Require(outcome is { Outcome: "rotated", Version: { } v } && v > before, $"rotation failed: {outcome.Reason}");
        await Wait.UntilAsync(() => Task.FromResult(traffic.Count().Sent > 3 * Rate), TimeSpan.FromSeconds(30), cancel);
        TrafficCount count = RequireClean(traffic);
        (double p50, double p99) = traffic.Latency();
        Seen(string.Create(CultureInfo.InvariantCulture,
            $"v{before} -> v{outcome.Version} while {count.Sent} validations at {Rate}/s: 0 refused, 0 errors, "
            + $"p50 {p50:0.0} ms, p99 {p99:0.0} ms"));
    }

    private async Task ServerLostAsync(Stage stage, StageTill till, PosTraffic traffic, CancellationToken cancel)
    {
        _step = "server lost";
        await stage.Server.KillAsync();
        traffic.Reset();
        await UntilModeAsync(till, "DEGRADED", TimeSpan.FromSeconds(60), cancel);
        HealthResponse health = (await till.Operator.HealthAsync(cancel)).Value;
        TrafficCount count = RequireClean(traffic);
        Seen($"license server killed; DEGRADED, {count.Sent} validations went on, usable until {health.CanValidateUntil}");

        _step = "server back";
        await stage.Server.RestartAsync(cancel);
        await UntilModeAsync(till, "NORMAL", TimeSpan.FromSeconds(150), cancel);
        StatusResponse status = await till.StatusAsync(cancel);
        RequireClean(traffic);
        Seen($"NORMAL again by itself with v{status.ActiveSecret!.Version}");
    }

    private async Task ReplayAsync(StageTill till, string token, CancellationToken cancel)
    {
        _step = "replay";
        using RawPos raw = new(till.Folder.PosSocket);
        Nonce16 nonce = RawPos.NewNonce();
        int once = await raw.ValidateAsync(token, nonce, cancel);
        int again = await raw.ValidateAsync(token, nonce, cancel);
        Require(once == 200 && again == 409, $"the same nonce was answered {once}, then {again}");
        Seen("the same nonce a second time is refused: 409 nonce_replayed");
    }

    private async Task TpmLostAsync(StageTill till, PosTraffic traffic, CancellationToken cancel)
    {
        _step = "TPM lost";
        traffic.Reset();
        await till.Tpm.KillAsync();
        await UntilMetricAsync(till, "license_agent_tpm_available 0", cancel);
        long valid = traffic.Count().Valid;
        await Wait.UntilAsync(
            () => Task.FromResult(traffic.Count().Valid > valid + Rate), TimeSpan.FromSeconds(30), cancel);
        TrafficCount count = RequireClean(traffic);
        Seen($"TPM killed; {count.Sent} validations went on, license_agent_tpm_available 0");

        _step = "TPM back";
        await till.Tpm.RestartAsync(cancel);
        await UntilMetricAsync(till, "license_agent_tpm_available 1", cancel);
        RotateOutcome outcome = (await till.Operator.RotateAsync(cancel)).Value;
        Require(outcome.Outcome == "rotated", $"rotation failed: {outcome.Reason}");
        RequireClean(traffic);
        Seen($"TPM back; rotated to v{outcome.Version}");
    }

    private async Task TamperAsync(StageTill till, CancellationToken cancel)
    {
        _step = "audit tampered";
        await till.Traffic!.DisposeAsync();
        int code = await till.Agent.Process.TerminateAsync(cancel);
        Require(code == 0, $"the agent ended with {code} on SIGTERM");
        AuditTamper tamper = new(till.Folder);
        (int good, _) = await tamper.VerifyAsync(cancel);
        Require(good == 0, "the untouched log did not verify");
        long line = tamper.FlipOneByte();
        (int bad, string said) = await tamper.VerifyAsync(cancel);
        bool named = said.Contains(
            string.Create(CultureInfo.InvariantCulture, $"\"line\":{line},"), StringComparison.Ordinal);
        Require(bad == 1 && named, $"audit verify ended with {bad} and said:\n{said}");
        Seen($"one byte of line {line} flipped: audit verify names the line, exit 1");
    }

    private static async Task<string> IssueAsync(Stage stage, StageTill till, CancellationToken cancel)
    {
        string said = await stage.Server.CommandAsync(
            cancel, "licenses", "issue", till.Name, "--product", "register", "--feature", "sell");
        return said.Split('\n').First(l => l.StartsWith("eyJ", StringComparison.Ordinal)).Trim();
    }

    private static Task UntilModeAsync(StageTill till, string mode, TimeSpan limit, CancellationToken cancel) =>
        Wait.UntilAsync(async () => (await till.StatusAsync(cancel)).Mode == mode, limit, cancel);

    private static Task UntilMetricAsync(StageTill till, string line, CancellationToken cancel) => Wait.UntilAsync(
        async () => (await File.ReadAllLinesAsync(till.Folder.MetricsFile, cancel)).Contains(line),
        TimeSpan.FromSeconds(60), cancel);

    private static TrafficCount RequireClean(PosTraffic traffic)
    {
        TrafficCount count = traffic.Count();
        Require(
            count is { Refused: 0, Errors: 0, Sent: > 0 },
            $"{count.Refused} refused ({count.LastRefusal}), {count.Errors} errors ({count.LastError}) of {count.Sent}");
        return count;
    }

    private static void Require(bool holds, string why)
    {
        if (!holds)
        {
            throw new NotSeen(why);
        }
    }

    private void Seen(string what) => screen.Seen(Elapsed, _step, what);

    private static string Tail(string text, int lines) =>
        string.Join('\n', text.TrimEnd().Split('\n').TakeLast(lines));

    private sealed class NotSeen(string why) : Exception(why);
}
