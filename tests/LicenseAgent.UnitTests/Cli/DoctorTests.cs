using System.Text.Json;
using LicenseAgent.Cli.Doctor;
using LicenseAgent.Protocol.Local;
using LicenseAgent.UnitTests.Pki;
using Xunit;

namespace LicenseAgent.UnitTests.Cli;

public sealed class DoctorTests : IDisposable
{
    private readonly ScratchDirectory _scratch = new();

    public DoctorTests()
    {
        foreach (string folder in (string[])["state", "logs"])
        {
            Directory.CreateDirectory(
                _scratch[folder], UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    [Fact]
    public async Task A_running_agent_in_order_is_said_to_be_so()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        CliRun run = await RunAsync("--socket", agent.SocketPath);
        Assert.Contains("mode", run.Output, StringComparison.Ordinal);
        Assert.Contains("IBM 7.3.1 at swtpm:unix:/run/tpm.sock answers; generation 12.", Flat(run), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_agent_that_is_down_is_a_finding_and_not_the_end()
    {
        CliRun run = await RunAsync("--socket", _scratch["none.sock"]);
        Assert.Equal(1, run.Exit);
        Assert.Contains("systemctl start license-agent", Flat(run), StringComparison.Ordinal);
        Assert.Contains("state_permissions", run.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("tpm_replaced", "enroll --replace")]
    [InlineData("tpm_unavailable", "Check [tpm] device")]
    [InlineData("not_enrolled", "license-agent-cli enroll --bundle FILE")]
    [InlineData("identity_damaged", "enroll --replace")]
    [InlineData("certificate_damaged", "enroll --replace")]
    [InlineData("suspended", "Its operator resumes it")]
    [InlineData("state_rollback", "asks the license server to repair it")]
    [InlineData("NO_SECRET", "asks for a new one")]
    public async Task Every_lock_has_its_remedy(string reason, string remedy)
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Status = SampleAnswers.Status with { Mode = "LOCKED", LockReason = reason };
        CliRun run = await RunAsync("--socket", agent.SocketPath);
        Assert.Equal(1, run.Exit);
        Assert.Contains(remedy, Flat(run), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_alert_is_a_finding()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Status = SampleAnswers.Status with { Alerts = [SampleAnswers.Alert] };
        Assert.Contains("rotation_failing", (await RunAsync("--socket", agent.SocketPath)).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_lockout_counter_above_0_is_a_finding()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Tpm = SampleAnswers.Tpm with { LockoutCounter = 3 };
        Assert.Contains(
            "counts 3 failed authorisations", Flat(await RunAsync("--socket", agent.SocketPath)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true, "owner hierarchy has a password")]
    [InlineData(false, "tpm2_changeauth -c owner PASSWORD")]
    public async Task An_empty_owner_password_is_a_finding(bool set, string said)
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Tpm = SampleAnswers.Tpm with { OwnerAuthSet = set };
        Assert.Contains(said, Flat(await RunAsync("--socket", agent.SocketPath)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("off", "tpm.fallback is off")]
    [InlineData("on_loss", "as strong as its fallback_key_file")]
    public async Task What_a_lost_TPM_leads_to_is_said(string fallback, string said)
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Tpm = SampleAnswers.Tpm with { Fallback = fallback };
        Assert.Contains(said, Flat(await RunAsync("--socket", agent.SocketPath)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_damaged_keyset_file_is_named()
    {
        await File.WriteAllTextAsync(_scratch["state/keysets.json"], "[{]", TestContext.Current.CancellationToken);
        CliRun run = await RunAsync("--socket", _scratch["none.sock"]);
        Assert.Contains("keysets.json is damaged", Flat(run), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_state_file_that_others_may_read_is_named()
    {
        await File.WriteAllTextAsync(_scratch["state/agent.json"], "{}", TestContext.Current.CancellationToken);
        File.SetUnixFileMode(
            _scratch["state/agent.json"], UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead);
        CliRun run = await RunAsync("--socket", _scratch["none.sock"], "--json");
        using JsonDocument report = JsonDocument.Parse(run.Bytes);
        JsonElement finding = report.RootElement.GetProperty("checks").EnumerateArray()
            .Single(check => check.GetProperty("id").GetString() == "state_files");
        Assert.Equal("error", finding.GetProperty("level").GetString());
        Assert.Contains("agent.json", finding.GetProperty("fact").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Directories_that_are_not_there_are_a_finding_each_that_names_the_option()
    {
        CliRun run = await new CliStart().RunAsync(
            ["doctor", "--socket", _scratch["none.sock"], "--state", _scratch["gone"], "--logs", _scratch["away"], "--json"]);
        using JsonDocument report = JsonDocument.Parse(run.Bytes);
        JsonElement[] about =
        [
            .. report.RootElement.GetProperty("checks").EnumerateArray().Where(
                check => check.GetProperty("fact").GetString()!.Contains("is not there", StringComparison.Ordinal)
                    && !check.GetProperty("id").GetString()!.EndsWith("_socket", StringComparison.Ordinal)),
        ];
        Assert.Equal(
            ["state_permissions", "log_permissions"], about.Select(check => check.GetProperty("id").GetString()));
        Assert.Equal(
            ["Start the agent once, or give --state DIR.", "Start the agent once, or give --logs DIR."],
            about.Select(check => check.GetProperty("remedy").GetString()));
    }

    [Fact]
    public async Task A_user_who_may_not_ask_is_told_so()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Instead = _ => (403, "application/problem+json", FakeAgent.Problem(
            403, ProblemCodes.PeerNotAllowed, "This user is not listed."));
        Assert.Equal(4, (await RunAsync("--socket", agent.SocketPath)).Exit);
    }

    [Theory]
    [InlineData("VmLck:\t     128 kB", "Max core file size        0                    0                    bytes", "ok ok")]
    [InlineData("VmLck:\t       0 kB", "Max core file size        unlimited            unlimited            bytes",
        "error warning")]
    public void Memory_and_core_dumps_are_read_from_the_kernel(string status, string limits, string levels) =>
        Assert.Equal(levels, string.Join(
            ' ', MachineChecks.OfProcess(status, limits).Select(c => c.Level.ToString().ToLowerInvariant())));

    [Fact]
    public void Swap_is_a_warning() =>
        Assert.Equal(Level.Warning, MachineChecks.Swap(["Filename Type", "/dev/sda2 partition"]).Level);

    public void Dispose() => _scratch.Dispose();

    private static string Flat(CliRun run) =>
        string.Join(' ', run.Output.Split([' ', '\n'], StringSplitOptions.RemoveEmptyEntries));

    private Task<CliRun> RunAsync(params string[] args) => new CliStart().RunAsync(
        ["doctor", "--state", _scratch["state"], "--logs", _scratch["logs"], .. args]);
}
