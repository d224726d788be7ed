using LicenseAgent.Testbed.Processes;
using Xunit;

namespace LicenseAgent.UnitTests.Testbed;

/// <summary>The license server with faults, as the program that it is.</summary>
public sealed class MockServerTests : IDisposable
{
    private const string Busy = """[{"match":"*","occurrence":1,"times":0,"status":503,"body":""}]""";

    private readonly Workplace _place = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private string FaultsFile => Path.Combine(_place.Root, "faults.json");

    public void Dispose() => _place.Dispose();

    [Fact]
    public async Task The_faults_of_its_file_hold_from_the_start_until_it_is_told_others()
    {
        await File.WriteAllTextAsync(FaultsFile, """[{"match":"*","times":0,"status":503}]""", Cancel);
        await using LicenseServerProcess server = await LicenseServerProcess.StartAsync(
            _place, new ServerSettings { WithFaults = true, FaultsFile = FaultsFile }, Cancel);
        Assert.Equal(Busy, await server.TellAsync("", Cancel));
        Assert.Equal("[]", await server.TellAsync("[]", Cancel));
    }

    [Theory]
    [InlineData("""[{"match":"*","malice":"rude"}]""", "malice")]
    [InlineData("nonsense", "nonsense")]
    [InlineData(null, "Could not find")]
    public async Task A_file_of_no_faults_is_named_and_nothing_is_started(string? content, string named)
    {
        if (content is not null) await File.WriteAllTextAsync(FaultsFile, content, Cancel);
        string control = Path.Combine(_place.Root, "control");
        await using ChildProcess run = await ChildProcess.StartAsync(
            ChildProcess.PathOf("license-server-mock"),
            ["--faults", FaultsFile, control, "serve", "--data", _place.ServerData, "--pki", _place.Pki.Root]);
        Assert.Equal(2, await run.ExitCodeAsync(Cancel));
        Assert.Contains(FaultsFile, run.Said, StringComparison.Ordinal);
        Assert.Contains(named, run.Said, StringComparison.Ordinal);
        Assert.False(File.Exists(control));
        Assert.False(Directory.Exists(_place.ServerData));
    }

    [Theory]
    [InlineData()]
    [InlineData("--faults", "a.json")]
    [InlineData("--faults", "serve", "control")]
    [InlineData("control", "agents")]
    public async Task What_it_does_not_understand_is_usage(params string[] arguments)
    {
        await using ChildProcess run = await ChildProcess.StartAsync(
            ChildProcess.PathOf("license-server-mock"), arguments);
        Assert.Equal(2, await run.ExitCodeAsync(Cancel));
        Assert.Contains("Usage: license-server-mock [--faults FILE] CONTROL_SOCKET serve", run.Said, StringComparison.Ordinal);
    }
}
