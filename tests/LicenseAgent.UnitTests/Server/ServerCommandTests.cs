using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Json;
using LicenseAgent.UnitTests.Pki;
using LicensePki;
using LicenseServer.Commands;
using Xunit;

namespace LicenseAgent.UnitTests.Server;

public sealed class ServerCommandTests : IDisposable
{
    private readonly ScratchDirectory _scratch = new();
    private readonly StringWriter _output = new();
    private readonly StringWriter _error = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public async Task Agents_add_writes_a_bundle_for_its_owner_alone()
    {
        string[] add = ["agents", "add", "pos-001", "--out", _scratch["b.json"], "--url", "https://s.test:99"];
        Assert.Equal(0, await RunAsync(add));
        Assert.Equal(DurableFile.KeyMode, File.GetUnixFileMode(_scratch["b.json"]));
        var bundle = StrictJson.Read(File.ReadAllBytes(_scratch["b.json"]), BundleJsonContext.Wire.EnrollmentBundle);
        Assert.Equal("pos-001", bundle.AgentId);
        Assert.Equal(("https://s.test:99", "localhost"), (bundle.ServerUrl, bundle.ServerName));
    }

    [Fact]
    public async Task A_bundle_is_never_overwritten()
    {
        await RunAsync("agents", "add", "pos-001", "--out", _scratch["b.json"]);
        Assert.Equal(1, await RunAsync("agents", "add", "pos-001", "--out", _scratch["b.json"]));
    }

    [Fact]
    public async Task Orders_are_shown_until_they_are_lifted()
    {
        await RunAsync("agents", "add", "pos-001", "--out", _scratch["b.json"]);
        Assert.Equal(0, await RunAsync("agents", "suspend", "pos-001"));
        Assert.Equal(0, await RunAsync("agents", "limit-grace", "pos-001", "--until", "2030-01-01T00:00:00.000Z"));
        Assert.Equal(0, await RunAsync("agents", "invalidate-below", "pos-001", "1"));
        Assert.Equal(0, await RunAsync("agents", "rotate-now", "pos-001"));
        await RunAsync("agents", "show", "pos-001");
        Assert.Matches("order: suspend +holds", _output.ToString());
        Assert.Matches("order: limit grace +2030-01-01T00:00:00.000Z", _output.ToString());
        _output.GetStringBuilder().Clear();
        Assert.Equal(0, await RunAsync("agents", "resume", "pos-001"));
        Assert.Equal(0, await RunAsync("agents", "limit-grace", "pos-001", "--lift"));
        await RunAsync("agents", "show", "pos-001");
        Assert.Matches("order: suspend +-", _output.ToString());
        Assert.Matches("order: limit grace +-", _output.ToString());
    }

    [Theory]
    [InlineData("agents", "show", "pos-404")]
    [InlineData("agents", "suspend", "pos-404")]
    [InlineData("agents", "add", "NOT-AN-ID")]
    [InlineData("licenses", "issue", "pos-404", "--product", "till")]
    [InlineData("licenses", "revoke", "lic-404")]
    [InlineData("agents", "approve-recovery", "pos-404")]
    [InlineData("agents", "approve", "pos-404", "thumbprint")]
    public async Task What_is_not_there_answers_1(params string[] arguments)
    {
        Assert.Equal(1, await RunAsync(arguments));
        Assert.StartsWith("license-server: ", _error.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("agents")]
    [InlineData("agents", "show")]
    [InlineData("serve", "--nonsense")]
    [InlineData("agents", "invalidate-below", "pos-001", "many")]
    [InlineData("keys", "rotate", "--scope", "everything")]
    [InlineData("agents", "list", "--enrolment-approve", "perhaps")]
    public async Task A_usage_error_answers_2(params string[] arguments) => Assert.Equal(2, await RunAsync(arguments));

    [Fact]
    public async Task Every_error_of_the_configuration_is_told_at_once()
    {
        var exit = await RunAsync(
            "agents", "list", "--listen", "nowhere", "--rotation-interval", "soon", "--rate-burst", "0",
            "--url", "http://x");
        Assert.Equal(2, exit);
        Assert.Equal(4, _error.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
    }

    [Theory]
    [InlineData("1h", "15h", true)]
    [InlineData("1h", "16h", false)]
    [InlineData("12h", null, true)]
    [InlineData("1h", null, false)]
    public async Task Times_under_which_agents_would_stop_rotating_are_refused(string rotation, string? grace, bool good)
    {
        string[] times = ["--rotation-interval", rotation, .. grace is null ? (string[])[] : ["--grace-period", grace]];
        Assert.Equal(good ? 0 : 2, await RunAsync(["agents", "list", .. times]));
        Assert.Equal(!good, _error.ToString().Contains("--grace-period", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Missing_certificate_files_are_all_named()
    {
        var context = Context(_ => null);
        Assert.Equal(2, await CommandLine.RunAsync(["agents", "list", "--data", _scratch["data"]], context));
        Assert.Equal(5, _error.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
    }

    [Fact]
    public async Task An_option_wins_over_the_environment_and_that_over_the_file()
    {
        DevTree.Create(_scratch["pki"], new DevTreeOptions(), TimeProvider.System);
        File.WriteAllText(_scratch["settings"], $"""
            # a comment
            LICENSE_SERVER_PKI={_scratch["pki"]}
            LICENSE_SERVER_DATA={_scratch["data"]}
            LICENSE_SERVER_NAME=from-file
            LICENSE_SERVER_URL=https://from-file:1
            """);
        var context = Context(name => name == "LICENSE_SERVER_NAME" ? "from-environment" : null);
        string[] arguments =
        [
            "agents", "add", "pos-001", "--config", _scratch["settings"], "--out", _scratch["b.json"],
            "--url", "https://from-option:1",
        ];
        Assert.Equal(0, await CommandLine.RunAsync(arguments, context));
        var bundle = StrictJson.Read(File.ReadAllBytes(_scratch["b.json"]), BundleJsonContext.Wire.EnrollmentBundle);
        Assert.Equal(("from-environment", "https://from-option:1"), (bundle.ServerName, bundle.ServerUrl));
    }

    [Fact]
    public async Task An_unknown_line_of_the_settings_file_is_named_with_its_number()
    {
        File.WriteAllText(_scratch["settings"], "LICENSE_SERVER_NAME=x\nLICENSE_SERVER_NAEM=x\n");
        Assert.Equal(2, await RunAsync("agents", "list", "--config", _scratch["settings"]));
        Assert.Contains(":2: 'LICENSE_SERVER_NAEM'", _error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Serve_says_when_it_is_ready_and_healthcheck_agrees()
    {
        using var stop = new CancellationTokenSource();
        var ready = new FirstLine();
        var context = Context(_ => null) with { Output = ready, Stop = stop.Token };
        var serving = CommandLine.RunAsync(
            [.. Full("serve"), "--listen", "127.0.0.1:0", "--management-listen", "127.0.0.1:0"], context);
        await Task.WhenAny(ready.Line, serving);
        var line = ready.Line.IsCompleted ? await ready.Line : $"ended with {await serving}: {_error}";
        var management = new Uri(line.Split("management=")[1]);
        string[] check = ["healthcheck", "--management-listen", "127.0.0.1:" + management.Port];
        Assert.Equal(0, await CommandLine.RunAsync(check, Context(_ => null)));
        await stop.CancelAsync();
        Assert.Equal(0, await serving);
        Assert.Equal(3, await CommandLine.RunAsync(check, Context(_ => null)));
    }

    [Theory]
    [InlineData("--url", "https://licenses.test:9443", "https://licenses.test:9443/")]
    [InlineData("--name", "licenses.test", "https://licenses.test:")]
    public async Task Serve_says_the_address_that_agents_are_told(string option, string value, string told)
    {
        using var stop = new CancellationTokenSource();
        var ready = new FirstLine();
        var context = Context(_ => null) with { Output = ready, Stop = stop.Token };
        var serving = CommandLine.RunAsync(
            [.. Full("serve"), "--listen", "127.0.0.1:0", "--management-listen", "127.0.0.1:0", option, value], context);
        await Task.WhenAny(ready.Line, serving);
        var line = ready.Line.IsCompleted ? await ready.Line : $"ended with {await serving}: {_error}";
        Assert.StartsWith("ready agents=" + told, line, StringComparison.Ordinal);
        Assert.DoesNotContain(":0/", line, StringComparison.Ordinal);
        await stop.CancelAsync();
        Assert.Equal(0, await serving);
    }

    [Theory]
    [InlineData("0.0.0.0:0", "0.0.0.0")]
    [InlineData("[::]:0", "[::]")]
    public async Task A_server_that_listens_everywhere_is_asked_on_loopback(string listen, string everywhere)
    {
        using var stop = new CancellationTokenSource();
        var ready = new FirstLine();
        var context = Context(_ => null) with { Output = ready, Stop = stop.Token };
        var serving = CommandLine.RunAsync(
            [.. Full("serve"), "--listen", "127.0.0.1:0", "--management-listen", listen], context);
        await Task.WhenAny(ready.Line, serving);
        var line = ready.Line.IsCompleted ? await ready.Line : $"ended with {await serving}: {_error}";
        var port = line.Split("management=")[1].Split(':')[^1].TrimEnd('/');
        Assert.Equal(
            0,
            await CommandLine.RunAsync(
                ["healthcheck", "--management-listen", everywhere + ":" + port], Context(_ => null)));
        await stop.CancelAsync();
        Assert.Equal(0, await serving);
    }

    [Fact]
    public async Task A_key_file_of_another_database_is_refused()
    {
        await RunAsync("agents", "list");
        File.Delete(Path.Combine(_scratch["data"], "keys.json"));
        Assert.Equal(5, await RunAsync("agents", "list"));
        Assert.Contains("put the key file of this database back", _error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Keys_are_announced_by_the_first_run_and_sign_after_the_second()
    {
        Assert.Equal(0, await RunAsync("keys", "rotate", "--scope", "response"));
        Assert.Matches("response key .{43} is announced in keyset 2", _output.ToString());
        Assert.Equal(0, await RunAsync("keys", "rotate", "--scope", "response"));
        _output.GetStringBuilder().Clear();
        Assert.Equal(0, await RunAsync("keys", "list"));
        Assert.Equal(3, System.Text.RegularExpressions.Regex.Count(_output.ToString(), " signs "));
        Assert.Single(System.Text.RegularExpressions.Regex.Matches(_output.ToString(), " retired "));
        Assert.EndsWith(
            "keyset 2: 0 of 0 agents heard of within 30 days have it\n", _output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_rotation_of_keys_that_only_waits_answers_1()
    {
        await RunAsync("keys", "rotate", "--scope", "response");
        await using (var store = await LicenseServer.ServerStore.OpenAsync(
            Options(), TimeProvider.System, System.Security.Cryptography.RandomNumberGenerator.Fill))
        {
            await store.Database.WriteAsync(session =>
            {
                var now = LicenseAgent.Protocol.Encoding.UtcTime.From(TimeProvider.System.GetUtcNow());
                LicenseServer.Storage.AgentRows.Add(session, "pos-001", now);
                LicenseServer.Storage.AgentRows.SetEnrolled(session, "pos-001", now);
                var row = LicenseServer.Storage.AgentRows.Find(session, "pos-001")!;
                LicenseServer.Storage.AgentRows.SetReport(session, row with { LastSeen = now, KeysetVersion = 1 });
                return true;
            });
        }

        Assert.Equal(1, await RunAsync("keys", "rotate", "--scope", "response"));
        Assert.Contains("0 of 1 agents have keyset 2", _output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_no_license_token_is_said_to_be_none()
    {
        await File.WriteAllTextAsync(_scratch["t"], "nonsense\n", TestContext.Current.CancellationToken);
        Assert.Equal(1, await RunAsync("licenses", "inspect", _scratch["t"]));
        Assert.Matches("reason +INVALID_TOKEN", _output.ToString());
    }

    private LicenseServer.ServerOptions Options()
    {
        var tree = new DevTree(_scratch["pki"]);
        return new LicenseServer.ServerOptions
        {
            DataDirectory = _scratch["data"],
            TlsCertFile = tree.ServerCertificate,
            TlsKeyFile = tree.ServerKey,
            AgentCaCertFile = tree.AgentCaCertificate,
            AgentCaKeyFile = tree.AgentCaKey,
            ServerCaCertFile = tree.ServerCaCertificate,
        };
    }

    private string[] Full(params string[] arguments)
    {
        if (!Directory.Exists(_scratch["pki"]))
            DevTree.Create(_scratch["pki"], new DevTreeOptions(), TimeProvider.System);
        return [.. arguments, "--data", _scratch["data"], "--pki", _scratch["pki"]];
    }

    private Task<int> RunAsync(params string[] arguments) =>
        CommandLine.RunAsync(Full(arguments), Context(_ => null));

    private CommandContext Context(Func<string, string?> environment) =>
        new(TimeProvider.System, _output, _error, environment, TestContext.Current.CancellationToken);

    private sealed class FirstLine : StringWriter
    {
        private readonly TaskCompletionSource<string> _line = new();

        public Task<string> Line => _line.Task;

        public override Task WriteLineAsync(string? value)
        {
            _line.TrySetResult(value ?? "");
            return Task.CompletedTask;
        }
    }
}
