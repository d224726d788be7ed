using System.Diagnostics;
using LicenseAgent.Client;
using LicenseAgent.IntegrationTests.EndToEnd;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Testbed.Processes;
using LicenseAgent.Testbed.Tpm;
using Xunit;

namespace LicenseAgent.IntegrationTests.Memory;

/// <summary>What a real daemon does so that its memory stays its own, and what it says where that fails.</summary>
public sealed class ProtectedProcessTests : IDisposable
{
    private const int ExitConfiguration = 78;

    private readonly Workplace _place = new();
    private readonly TillFolder _till;

    public ProtectedProcessTests()
    {
        _till = _place.AddTill("pos-001");
        _till.WriteConfig(new TillSettings { TpmDevice = $"swtpm:unix:{_till.Root}/no-tpm" });
    }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _place.Dispose();

    [Fact]
    public async Task A_protected_agent_says_that_everything_holds()
    {
        await using AgentProcess agent = await AgentProcess.StartAsync(_till, Cancel);
        using ManagementClient @operator = new(new ManagementClientOptions { SocketPath = _till.AdminSocket });

        StatusResponse status = (await @operator.StatusAsync(Cancel)).Value;

        Assert.Equal(8, status.MemoryProtection.Count);
        Assert.All(status.MemoryProtection, p => Assert.True(p.Holds, $"{p.Name}: {p.Detail}"));
        Assert.Equal(8, (await File.ReadAllLinesAsync(_till.MetricsFile, Cancel)).Count(line =>
            line.StartsWith("license_agent_memory_protection{", StringComparison.Ordinal)
            && line.EndsWith(" 1", StringComparison.Ordinal)));
        Assert.DoesNotContain("protection_failed", agent.Process.Said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Neither_a_diagnostic_socket_nor_another_user_reaches_into_it()
    {
        await using AgentProcess agent = await AgentProcess.StartAsync(_till, Cancel);

        Assert.Empty(Directory.GetFileSystemEntries(Path.GetTempPath(), $"dotnet-diagnostic-{agent.Process.Id}-*"));
        Assert.Empty(Directory.GetFileSystemEntries(Path.GetTempPath(), $"clr-debug-pipe-{agent.Process.Id}-*"));
        foreach (string limit in File.ReadLines($"/proc/{agent.Process.Id}/limits")
            .Where(line => line.StartsWith("Max core file size", StringComparison.Ordinal)))
        {
            Assert.Equal(["0", "0", "bytes"], limit.Split(' ', StringSplitOptions.RemoveEmptyEntries)[4..]);
        }

        // A process that is not dumpable belongs to root under /proc, whoever runs it.
        Assert.NotEqual(0, await RunAsync(
            "setpriv", "--reuid", "1002", "--regid", "1002", "--clear-groups",
            "cat", $"/proc/{agent.Process.Id}/maps"));
    }

    [Fact]
    public async Task A_crash_leaves_no_core_file_where_the_limit_of_its_parent_allows_one()
    {
        string program = ChildProcess.PathOf("license-agent");
        await using ChildProcess agent = await ChildProcess.StartAsync(
            "/bin/sh",
            ["-c", "cd \"$2\" && ulimit -c unlimited && exec \"$0\" --config \"$1\"", program, _till.ConfigFile,
                _till.Root],
            new Dictionary<string, string> { ["DOTNET_EnableDiagnostics"] = "0" });
        await agent.WaitForLineAsync("agent_ready", Cancel);

        // The first is no fault of the program's own: the runtime gives the signal its default back and goes on.
        await Eventually.GetAsync(
            async () =>
            {
                await RunAsync("kill", "-SEGV", $"{agent.Id}");
                return agent.HasExited ? "ended" : null;
            },
            () => agent.Said, Cancel);

        Assert.NotEqual(0, await agent.ExitCodeAsync(Cancel));
        Assert.Empty(Directory.GetFiles(_till.Root, "core*"));
    }

    [Fact]
    public async Task A_process_that_keeps_its_core_limit_leaves_one()
    {
        // The control of the test above: here a crash does leave a file, unless the machine pipes cores to a program.
        string pattern = (await File.ReadAllTextAsync("/proc/sys/kernel/core_pattern", Cancel)).Trim();
        Assert.SkipWhen(pattern.StartsWith('|') || pattern.StartsWith('/'), $"core_pattern is {pattern}");
        await RunAsync("/bin/sh", "-c", $"cd '{_till.Root}' && ulimit -c unlimited && sh -c 'kill -SEGV $$'; true");

        Assert.NotEmpty(Directory.GetFiles(_till.Root, $"{pattern.Split('%')[0]}*"));
    }

    [Theory]
    [InlineData("DOTNET_EnableDiagnostics", "1", "diagnostics_off")]
    [InlineData("DOTNET_DbgEnableMiniDump", "1", "crash_dump_off")]
    public async Task What_does_not_hold_is_logged_with_its_remedy_and_shown(string variable, string value, string name)
    {
        await using ChildProcess agent = await StartAsync(variable, value);
        await agent.WaitForLineAsync("agent_ready", Cancel);
        using ManagementClient @operator = new(new ManagementClientOptions { SocketPath = _till.AdminSocket });

        StatusResponse status = (await @operator.StatusAsync(Cancel)).Value;

        ProtectionView missing = Assert.Single(status.MemoryProtection, p => !p.Holds);
        Assert.Equal(name, missing.Name);
        Assert.Contains(variable, missing.Remedy, StringComparison.Ordinal);
        Assert.Contains($"protection_failed: {name}", agent.Said, StringComparison.Ordinal);
        Assert.Contains(
            $"license_agent_memory_protection{{protection=\"{name}\"}} 0",
            await File.ReadAllTextAsync(_till.MetricsFile, Cancel), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Strict_refuses_to_start_and_says_why()
    {
        await File.AppendAllTextAsync(_till.ConfigFile, "\n[security]\nstrict = true\n", Cancel);
        await using ChildProcess agent = await StartAsync("DOTNET_EnableDiagnostics", "1");

        Assert.Equal(ExitConfiguration, await agent.ExitCodeAsync(Cancel));

        string refused = await agent.WaitForLineAsync("start_refused", Cancel);
        Assert.Contains("diagnostics_off", refused, StringComparison.Ordinal);
        Assert.False(File.Exists(_till.AuditLog), "It had begun to work.");
    }

    [Fact]
    public async Task Strict_starts_where_everything_holds()
    {
        await File.AppendAllTextAsync(_till.ConfigFile, "\n[security]\nstrict = true\n", Cancel);
        await using AgentProcess agent = await AgentProcess.StartAsync(_till, Cancel);
        Assert.Contains("agent_ready", agent.Process.Said, StringComparison.Ordinal);
    }

    private Task<ChildProcess> StartAsync(string variable, string value) => ChildProcess.StartAsync(
        ChildProcess.PathOf("license-agent"), ["--config", _till.ConfigFile],
        new Dictionary<string, string> { ["DOTNET_EnableDiagnostics"] = "0", [variable] = value });

    private static async Task<int> RunAsync(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        await process.WaitForExitAsync(Cancel);
        return process.ExitCode;
    }
}
