using System.Text.Json.Nodes;
using LicenseAgent.Client;
using LicenseAgent.IntegrationTests.EndToEnd;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Testbed.Processes;
using LicenseAgent.Testbed.Tills;
using LicenseAgent.Testbed.Tpm;
using Xunit;

namespace LicenseAgent.IntegrationTests.Formats;

/// <summary>
/// I28 on real processes: the agent of today on what earlier ones left behind, with the TPM that belongs to it and no
/// server. The folders are good until 2036; after that their secrets are past their grace.
/// </summary>
public sealed class KeptStateTests : IAsyncLifetime
{
    private readonly Workplace _place = new();
    private readonly TillFolder _till;
    private SwtpmProcess? _tpm;
    private AgentProcess? _agent;

    public KeptStateTests() => _till = _place.AddTill("pos-001");

    public static TheoryData<int> Formats => [1];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (_agent is not null)
        {
            await _agent.DisposeAsync();
        }

        if (_tpm is not null)
        {
            await _tpm.DisposeAsync();
        }

        _place.Dispose();
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public async Task A_state_folder_of_an_earlier_format_is_taken_over_whole(int format)
    {
        FormatFolder folder = await StartOnAsync(format);

        StatusResponse status = await StatusAsync();

        long generation = JsonNode.Parse(
            await File.ReadAllBytesAsync(Path.Combine(folder.State, "state.json"), Cancel))!["generation"]!
            .GetValue<long>();
        Assert.NotEqual("LOCKED", status.Mode);
        Assert.Equal(generation, status.TpmStatus.Generation);
        Assert.Equal(
            (3L, "1 2", 4L),
            (status.ActiveSecret!.Version, string.Join(' ', status.GraceSecrets.Select(s => s.Version)),
                status.PendingSecret!.Version));
        Assert.DoesNotContain(status.Alerts, a => a.Id is "state_rollback" or "run_state_damaged" or "audit_gap");
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public async Task A_license_of_the_time_still_validates(int format)
    {
        FormatFolder folder = await StartOnAsync(format);

        LicenseValidation answer = await ValidateAsync(folder.ActiveToken);

        Assert.True(answer.IsValid, answer.ToString());
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public async Task A_revocation_of_the_time_still_holds(int format)
    {
        FormatFolder folder = await StartOnAsync(format);

        // GRACE secrets are opened while the agent serves already.
        LicenseValidation answer = await Eventually.GetAsync(
            async () => await ValidateAsync(folder.RevokedToken) is { Reason: not ValidationReasons.Locked } known
                ? known
                : null,
            () => "the secret of the token was not opened", Cancel);
        Assert.Equal("REVOKED", answer.Reason);
    }

    [Theory]
    [InlineData("agent.json")]
    [InlineData("state.json")]
    [InlineData("run.json")]
    public async Task A_file_of_a_newer_format_ends_the_start_and_is_not_touched(string file)
    {
        _tpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, Cancel, new FormatFolder(1).Tpm);
        Prepare(new FormatFolder(1));
        string path = Path.Combine(_till.State, file);
        JsonNode content = JsonNode.Parse(await File.ReadAllBytesAsync(path, Cancel))!;
        content["format"] = 99;
        content["of_a_later_program"] = true;
        await File.WriteAllTextAsync(path, content.ToJsonString(), Cancel);
        SortedDictionary<string, string> before = Contents();

        await using ChildProcess daemon = await ChildProcess.StartAsync(
            ChildProcess.PathOf("license-agent"), ["--config", _till.ConfigFile]);

        Assert.Equal(78, await daemon.ExitCodeAsync(Cancel));
        Assert.Contains($"{file} has format 99", daemon.Said, StringComparison.Ordinal);
        Assert.Equal(before, Contents());
    }

    /// <summary>State files by name; not the lock and the metrics, which belong to the running program.</summary>
    private SortedDictionary<string, string> Contents() => new(
        Directory.GetFiles(_till.State, "*", SearchOption.AllDirectories)
            .Where(f => Path.GetFileName(f) is not ("lock" or "metrics.prom"))
            .ToDictionary(f => f, f => Convert.ToHexStringLower(File.ReadAllBytes(f))),
        StringComparer.Ordinal);

    private async Task<FormatFolder> StartOnAsync(int format)
    {
        FormatFolder folder = new(format);
        _tpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, Cancel, folder.Tpm);
        Prepare(folder);
        _agent = await AgentProcess.StartAsync(_till, Cancel);
        return folder;
    }

    private void Prepare(FormatFolder folder)
    {
        folder.CopyTo(_till);
        _till.WriteConfig(new TillSettings { TpmDevice = _tpm!.Device, GracePeriod = FormatFolder.Grace });
    }

    private async Task<StatusResponse> StatusAsync()
    {
        using ManagementClient client = new(new ManagementClientOptions { SocketPath = _till.AdminSocket });
        return (await client.StatusAsync(Cancel)).Value;
    }

    private async Task<LicenseValidation> ValidateAsync(string token)
    {
        using LicenseAgentClient application = new(new LicenseAgentClientOptions
        {
            SocketPath = _till.PosSocket,
            VendorKeys = [],
            Timeout = TimeSpan.FromSeconds(30),
        });
        return await application.ValidateAsync(token, Cancel);
    }
}
