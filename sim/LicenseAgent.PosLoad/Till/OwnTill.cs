using LicenseAgent.Client;
using LicenseAgent.PosLoad.Load;
using LicenseAgent.PosLoad.Scenarios;
using LicenseAgent.Testbed.Processes;
using LicenseAgent.Testbed.Tills;

namespace LicenseAgent.PosLoad.Till;

/// <summary>A till of our own for a scenario: what the load needs of it, and what can be done to it meanwhile.</summary>
internal sealed class OwnTill : IAsyncDisposable
{
    private static readonly TimeSpan s_long = TimeSpan.FromDays(365), s_short = TimeSpan.FromSeconds(2);

    private readonly EnrolledTill _till;

    private OwnTill(EnrolledTill till, TokenPool tokens) => (_till, Tokens) = (till, tokens);

    public TokenPool Tokens { get; }

    public EnrolledTill Till => _till;

    public static async Task<OwnTill> OpenAsync(Scenario scenario, CancellationToken cancel)
    {
        ServerSettings server = scenario.Intervals is { } i
            ? new ServerSettings
            {
                RotationInterval = TimeSpan.FromSeconds(i.Rotation),
                GracePeriod = TimeSpan.FromSeconds(i.Grace),
                CheckInInterval = TimeSpan.FromSeconds(i.CheckIn),
            }
            : new ServerSettings();
        IEnumerable<uint> users = Enumerable.Range(0, scenario.Users).Select(n => LoadRun.FirstUser + (uint)n)
            .Append(LoadRun.HostileUser).Append(TillFolder.OwnUid);
        EnrolledTill till = await EnrolledTill.OpenAsync(
            new EnrolledTillSettings(server, [.. users], WatchTpm: scenario.Limits.TpmHandles is not null), cancel);
        try
        {
            int fresh = scenario.Mix.Fresh == 0 ? 0 : (int)Math.Min(TokenPool.FreshMax, 1 + FreshWanted(scenario));
            IReadOnlyList<string> expired = scenario.Mix.Expired == 0
                ? [] : await till.IssueAsync(16, s_short, "expired");
            TokenPool tokens = new(await till.IssueAsync(1 + fresh, s_long), expired);
            if (expired.Count > 0)
            {
                await Task.Delay(s_short, cancel);
            }

            return new OwnTill(till, tokens);
        }
        catch (Exception)
        {
            await till.DisposeAsync();
            throw;
        }
    }

    /// <exception cref="InvalidOperationException">It could not be done.</exception>
    public async Task ActAsync(string what, CancellationToken cancel)
    {
        switch (what)
        {
            case StageEvents.Rotate: await RotateAsync(cancel); break;
            case StageEvents.ServerKill: await _till.Server.KillAsync(); break;
            case StageEvents.ServerStart: await _till.Server.RestartAsync(cancel); break;
            case StageEvents.TpmKill: await _till.Tpm.KillAsync(); break;
            case StageEvents.TpmStart: await _till.Tpm.RestartAsync(cancel); break;
            case StageEvents.TpmStop: _till.Tpm.Stop(); break;
            case StageEvents.TpmContinue: _till.Tpm.Continue(); break;
            default: throw new InvalidOperationException($"Nothing is known of {what}.");
        }
    }

    public ValueTask DisposeAsync() => _till.DisposeAsync();

    private static double FreshWanted(Scenario s) =>
        s.Phases.Sum(p => ((p.From ?? p.Rate) + p.Rate) / 2 * p.Seconds) * s.Mix.Fresh / s.Mix.Total;

    private async Task RotateAsync(CancellationToken cancel)
    {
        try
        {
            await _till.RotateAsync(cancel);
        }
        catch (AgentException e)
        {
            throw new InvalidOperationException(e.Message, e);
        }
    }
}
