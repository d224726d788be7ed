using System.Globalization;
using Bogus;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Testbed.Processes;

namespace LicenseAgent.Up;

/// <summary>
/// Everything that runs: one license server, and tills with a TPM emulator, a daemon and applications each. All of it
/// on loopback and below one temporary directory; nothing is left when it is disposed.
/// </summary>
internal sealed class Stage : IAsyncDisposable
{
    private readonly List<StageTill> _tills = [];
    private readonly Workplace _place = new();
    private readonly StageSettings _settings;

    private Stage(StageSettings settings) => _settings = settings;

    public LicenseServerProcess Server { get; private set; } = null!;

    public IReadOnlyList<StageTill> Tills => _tills;

    /// <summary>Starts the license server; tills come one by one.</summary>
    public static async Task<Stage> OpenAsync(StageSettings settings, CancellationToken cancel)
    {
        Stage stage = new(settings);
        try
        {
            stage.Server = await LicenseServerProcess.StartAsync(stage._place, settings.Server, cancel);
            return stage;
        }
        catch (Exception)
        {
            await stage.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts a till that is not enrolled yet.</summary>
    public async Task<StageTill> AddTillAsync(CancellationToken cancel)
    {
        int number = _tills.Count + 1;
        string name = string.Create(CultureInfo.InvariantCulture, $"pos-{number:000}");

        // Seeded per till: the same shop has the same name tomorrow.
        Faker faker = new() { Random = new Randomizer(number) };
        StageTill till = new(name, $"{faker.Company.CompanyName()}, {faker.Address.City()}", _place.AddTill(name));
        _tills.Add(till);
        await till.StartAsync(_settings, cancel);
        return till;
    }

    /// <summary>Adds the till at the server, carries the bundle over, and waits for its first secret.</summary>
    public async Task EnrollAsync(StageTill till, CancellationToken cancel)
    {
        string file = Path.Combine(till.Folder.Root, "bundle.json");
        await Server.CommandAsync(cancel, "agents", "add", till.Name, "--out", file);
        EnrollmentBundle bundle = StrictJson.Read(
            await File.ReadAllBytesAsync(file, cancel), BundleJsonContext.Wire.EnrollmentBundle);
        await till.EnrollAsync(bundle, cancel);
        await Wait.UntilAsync(async () => (await till.StatusAsync(cancel)).Mode == "NORMAL", TimeSpan.FromSeconds(60), cancel);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (StageTill till in _tills)
        {
            await till.DisposeAsync();
        }

        if (Server is not null)
        {
            await Server.DisposeAsync();
        }

        _place.Dispose();
    }
}

/// <summary>Intervals of the stage: days of a shop in seconds.</summary>
/// <param name="WithTpmFaults">Between each till and its TPM is a bus that is told its faults.</param>
internal sealed record StageSettings(ServerSettings Server, int PosRate, bool WithTpmFaults = false);

/// <summary>Waiting for something to become true, with a limit.</summary>
internal static class Wait
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(50);

    /// <exception cref="TimeoutException">It did not.</exception>
    public static async Task UntilAsync(Func<Task<bool>> holds, TimeSpan limit, CancellationToken cancel)
    {
        long start = TimeProvider.System.GetTimestamp();
        while (!await holds())
        {
            if (TimeProvider.System.GetElapsedTime(start) > limit)
            {
                throw new TimeoutException($"It did not happen within {limit.TotalSeconds:0} s.");
            }

            await Task.Delay(Poll, cancel);
        }
    }
}
