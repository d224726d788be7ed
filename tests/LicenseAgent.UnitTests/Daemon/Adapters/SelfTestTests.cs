using LicenseAgent.Daemon.Adapters;
using LicenseAgent.Daemon.Adapters.Hardening;
using LicenseAgent.Daemon.Secrets;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Adapters;

public sealed class SelfTestTests
{
    private const string Smaps = """
        7f0000000000-7f0000001000 ---p 00000000 00:00 0
        Size:                  4 kB
        VmFlags: mr mw me sd
        7f0000001000-7f0000005000 rw-p 00000000 00:00 0
        Size:                 16 kB
        Locked:               16 kB
        VmFlags: rd wr mr mw me lo ac dd wf
        7f0000005000-7f0000006000 ---p 00000000 00:00 0
        VmFlags: mr mw me sd
        """;

    [Fact]
    public void Real_secret_memory_is_what_the_kernel_says_it_is()
    {
        using var memory = new SecretMemory(new OsRandomness());
        Protection[] ofMemory =
            [.. SelfTest.Run(memory).Where(p => p.Name.StartsWith("memory_", StringComparison.Ordinal))];
        Assert.Equal(4, ofMemory.Length);
        Assert.All(ofMemory, p => Assert.True(p.Holds, p.Fact));
    }

    [Fact]
    public void A_region_with_every_flag_between_two_guard_pages_holds() => Assert.Empty(Missing(Smaps));

    [Theory]
    [InlineData(" lo", "", "memory_locked")]
    [InlineData(" dd", "", "memory_not_dumped")]
    [InlineData(" wf", "", "memory_wiped_on_fork")]
    [InlineData("7f0000005000-7f0000006000 ---p", "7f0000005000-7f0000006000 rw-p", "memory_guarded")]
    [InlineData("7f0000000000-7f0000001000 ---p", "7f0000000000-7f0000001000 r--p", "memory_guarded")]
    public void What_the_kernel_does_not_say_does_not_hold(string there, string instead, string missing)
    {
        string smaps = Smaps.Replace(there, instead, StringComparison.Ordinal);
        Assert.NotEqual(Smaps, smaps);
        Assert.Equal([missing], Missing(smaps));
    }

    [Fact]
    public void A_region_that_is_not_found_holds_in_nothing() => Assert.Equal(4, Missing("").Length);

    [Theory]
    [InlineData(false, 0, 0, "")]
    [InlineData(true, 0, 0, "process_not_dumpable")]
    [InlineData(false, 0, 1, "core_limit_zero")]
    [InlineData(false, 1, 1, "core_limit_zero")]
    public void A_process_holds_when_neither_reading_nor_dumping_is_allowed(
        bool dumpable, ulong soft, ulong hard, string missing) => Assert.Equal(
            missing, string.Join(' ', Names(SelfTest.OfProcess(dumpable, (soft, hard)))));

    [Theory]
    [InlineData("DOTNET_EnableDiagnostics=0", "", "")]
    [InlineData("COMPlus_EnableDiagnostics=0", "", "")]
    [InlineData("", "", "diagnostics_off")]
    [InlineData("DOTNET_EnableDiagnostics=1", "", "diagnostics_off")]
    [InlineData("DOTNET_EnableDiagnostics=0", "/tmp/dotnet-diagnostic-7-1-socket", "diagnostics_off")]
    [InlineData("DOTNET_EnableDiagnostics=0 DOTNET_DbgEnableMiniDump=1", "", "crash_dump_off")]
    [InlineData("DOTNET_EnableDiagnostics=0 DOTNET_DbgEnableMiniDump=0", "", "")]
    public void The_runtime_holds_when_it_neither_listens_nor_dumps(string variables, string socket, string missing)
    {
        Dictionary<string, string> environment = variables.Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(v => v.Split('=')).ToDictionary(v => v[0], v => v[1], StringComparer.Ordinal);
        string[] sockets = socket.Length == 0 ? [] : [socket];
        Assert.Equal(
            missing, string.Join(' ', Names(SelfTest.OfRuntime(v => environment.GetValueOrDefault(v), sockets))));
    }

    [Fact]
    public void Every_protection_has_a_fact_and_a_remedy()
    {
        using var memory = new SecretMemory(new OsRandomness());
        Assert.All(SelfTest.Run(memory), p => Assert.True(p.Fact.Length > 0 && p.Remedy.Length > 0, p.Name));
    }

    [Fact]
    public void A_diagnostic_socket_is_found_by_the_process_that_made_it()
    {
        string directory = Directory.CreateTempSubdirectory("lsa-diag-").FullName;
        try
        {
            File.WriteAllText(Path.Combine(directory, "dotnet-diagnostic-71-1-socket"), "");
            Assert.Empty(SelfTest.DiagnosticSockets(directory, 7));
            Assert.Single(SelfTest.DiagnosticSockets(directory, 71));
            Assert.Empty(SelfTest.DiagnosticSockets(directory + "/none", 71));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static string[] Missing(string smaps) => Names(SelfTest.OfRegion(
        MappedRegion.Find(unchecked((nuint)0x7f0000001000), unchecked((nuint)0x7f0000005000), smaps.Split('\n'))));

    private static string[] Names(IEnumerable<Protection> protections) =>
        [.. protections.Where(p => !p.Holds).Select(p => p.Name)];
}
