using System.Text;
using LicenseAgent.Daemon;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.LocalApi;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Management;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Config;

/// <summary>A configuration is put in force whole, or not at all with every reason.</summary>
public sealed class ReloadingTests
{
    private readonly List<AuditEntry> _records = [];
    private readonly List<string> _used = [];
    private string _file = "[management]\nadmin_uids = [1]\n";
    private Func<Task> _record = () => Task.CompletedTask;

    public static TheoryData<string, string> StartOnly => new()
    {
        { "[agent]\nid = \"pos-002\"", "agent.id" },
        { "[tpm]\ndevice = \"swtpm:unix:/x\"", "tpm.device" },
        { "[tpm]\nsigning_handle = 0x81018A03", "tpm.signing_handle" },
        { "[paths]\nstate = \"/elsewhere\"", "paths.state" },
        { "[pos]\nsocket = \"/elsewhere/pos.sock\"", "pos.socket" },
        { "[management]\nsocket = \"/elsewhere/admin.sock\"", "management.socket" },
        { "[audit]\npath = \"/elsewhere/audit.log\"", "audit.path" },
        { "[pos]\nconnections = 300", "pos.connections" },
        { "[pos]\nrate = 100", "pos.rate" },
        { "[security]\nstrict = true", "security.strict" },
    };

    [Fact]
    public async Task What_changed_is_named_recorded_and_in_force()
    {
        Reloading reloading = Begin();
        _file = "[management]\nadmin_uids = [2]\n[degraded]\nallowed = false\n[agent]\ngrace_period = 60\n";
        ReloadOutcome outcome = (await reloading.RunAsync()).Done!;
        string[] changed = ["agent.grace_period", "degraded.allowed", "management.admin_uids"];
        Assert.Equal("reloaded", outcome.Outcome);
        Assert.Equal(changed, outcome.Changed);
        Assert.Equal(["core False", "surfaces 2"], _used);
        Assert.Equal(
            ("config_reloaded", AuditOutcome.Ok), (Assert.Single(_records).Event, _records[0].Outcome));
    }

    [Theory]
    [MemberData(nameof(StartOnly))]
    public async Task What_is_read_at_start_alone_is_refused_by_name(string section, string key)
    {
        Reloading reloading = Begin();
        _file = section + "\n";
        ReloadOutcome outcome = (await reloading.RunAsync()).Done!;
        Assert.Equal("refused", outcome.Outcome);
        Assert.StartsWith(key + " ", Assert.Single(outcome.Errors), StringComparison.Ordinal);
        Assert.Empty(_used);
        Assert.Equal(AuditOutcome.Refused, Assert.Single(_records).Outcome);
    }

    [Theory]
    [InlineData("[server]\nurl = \"https://other.example:8443\"", "server.url")]
    [InlineData("[server]\ncert_pins = [\"sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"]", "server.cert_pins")]
    [InlineData("[server]\ntimeout = 5", "server.timeout")]
    [InlineData("[audit]\non_failure = \"refuse\"", "audit.on_failure")]
    [InlineData("[audit]\nretention = 172800", "audit.retention")]
    [InlineData("[audit]\nmax_bytes = 4294967296", "audit.max_bytes")]
    public async Task What_can_change_while_it_runs_does(string section, string key)
    {
        Reloading reloading = Begin();
        _file = "[management]\nadmin_uids = [1]\n" + section + "\n";
        ReloadOutcome outcome = (await reloading.RunAsync()).Done!;
        Assert.Empty(outcome.Errors);
        Assert.Equal([key], outcome.Changed);
    }

    [Fact]
    public async Task Every_mistake_is_told_at_once_and_the_old_one_stays()
    {
        Reloading reloading = Begin();
        _file = "[pos]\nrate = 0\nburts = 1\n[management]\nadmin_uids = [-1]\n";
        ReloadOutcome outcome = (await reloading.RunAsync()).Done!;
        Assert.Equal(3, outcome.Errors.Count);
        Assert.Contains("config.toml:2", outcome.Errors[0], StringComparison.Ordinal);
        Assert.Empty(_used);
    }

    [Fact]
    public async Task A_refused_file_is_compared_with_what_is_in_force_the_next_time()
    {
        Reloading reloading = Begin();
        _file = "[paths]\nstate = \"/elsewhere\"\n";
        await reloading.RunAsync();
        _file = "[management]\nadmin_uids = [1]\n";
        Assert.Empty((await reloading.RunAsync()).Done!.Changed);
    }

    [Fact]
    public async Task What_cannot_be_recorded_is_not_done()
    {
        Reloading reloading = Begin();
        _record = () => Task.FromException(new StorageException("disk_full", "no space"));
        _file = "[degraded]\nallowed = false\n";
        await Assert.ThrowsAsync<StorageException>(reloading.RunAsync);
        Assert.Empty(_used);
    }

    [Fact]
    public async Task One_reload_runs_at_a_time()
    {
        var hold = new TaskCompletionSource();
        Reloading reloading = Begin();
        _record = () => hold.Task;
        Task<CommandAnswer<ReloadOutcome>> first = reloading.RunAsync();
        Assert.Equal(409, (await reloading.RunAsync()).Refused!.Status);
        hold.SetResult();
        Assert.NotNull((await first).Done);
        Assert.NotNull((await reloading.RunAsync()).Done);
    }

    private Reloading Begin()
    {
        Reloading reloading = new(
            Read().Config!, Read,
            entry =>
            {
                _records.Add(entry);
                return _record();
            },
            config => _used.Add($"core {config.Degraded.Allowed}"));
        reloading.Serve(new LocalSurfaces(
            null!, null!, null!, config => _used.Add($"surfaces {string.Join(" ", config.Management.AdminUids)}")));
        return reloading;
    }

    private ConfigOutcome Read() =>
        ConfigReader.Read(Encoding.UTF8.GetBytes(_file), new Dictionary<string, string>(), _ => default);
}
