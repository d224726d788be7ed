using System.Text;
using LicenseAgent.Daemon.Config;
using LicenseAgent.UnitTests.Pki;
using LicensePki;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Config;

public sealed class ConfigReaderTests
{
    private const string Pin1 = "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    private const string Pin2 = "sha256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    // Files that the configurations of these tests name, by path.
    private static readonly Lazy<Dictionary<string, byte[]>> Tree = new(MakeTree);

    [Fact]
    public void An_empty_file_gives_the_defaults()
    {
        var config = Valid("");
        Assert.Null(config.Server.Url);
        Assert.Equal(TimeSpan.FromSeconds(30), config.Server.Timeout);
        Assert.Equal(TimeSpan.FromDays(1), config.Agent.RotationInterval);
        Assert.Equal(TimeSpan.FromDays(7), config.Agent.GracePeriod);
        Assert.Equal(TimeSpan.FromDays(1), config.Agent.OfflineAfter);
        Assert.Equal(TimeSpan.FromMinutes(15), config.Agent.CheckInInterval);
        Assert.Equal(new TpmConfig("device:/dev/tpmrm0", 0x81018A01, 0x81018A02), config.Tpm);
        Assert.Equal("/run/license-agent/pos.sock", config.Pos.Socket);
        Assert.Empty(config.Pos.AllowedUids);
        Assert.Equal((200, 400, 64, 256),
            (config.Pos.Rate, config.Pos.Burst, config.Pos.ConnectionsPerUid, config.Pos.Connections));
        Assert.Equal("/run/license-agent/admin.sock", config.Management.Socket);
        Assert.Empty(config.Management.AdminUids);
        Assert.Equal(
            new AuditConfig(
                "/var/log/license-agent/audit.log", AuditFailure.Continue, TimeSpan.FromDays(90), 2L << 30, 64L << 20),
            config.Audit);
        Assert.True(config.Degraded.Allowed);
    }

    [Fact]
    public void The_file_of_the_requirements_is_accepted_as_it_stands()
    {
        var config = Valid($"""
            [server]
            url = "https://license-server.example.com"
            cert_pin = "{Pin1}"  # pin of the server certificate
            client_cert = "/pki/client/pos-001.crt"
            client_key = "/pki/client/pos-001.key"

            [agent]
            id = "pos-001"
            rotation_interval = 86400
            grace_period = 604800

            [tpm]
            enabled = true
            fallback_encrypted_storage = "/var/lib/license-agent/secret.enc"

            [management]
            allowed_uids = [1000, 1001]
            """);
        Assert.Equal("https://license-server.example.com", config.Server.Url);
        Assert.Equal([Pin1], config.Server.CertPins);
        Assert.Equal("pos-001", config.Agent.Id);
        Assert.NotNull(config.Server.ClientPem);
        Assert.Equal([1000u, 1001u], config.Management.AdminUids);
        Assert.Empty(config.Management.ViewerUids);
    }

    [Fact]
    public void Five_mistakes_are_five_lines_in_order_of_the_file()
    {
        var outcome = Read($"""
            [server]
            url = "http://license-server.example.com"
            cert_pin = "sha256:short"
            [pos]
            rate = 0
            allowed_uids = ["root"]
            [agent]
            grace_peroid = 604800
            """);
        Assert.Null(outcome.Config);
        var report = ConfigReport.Lines("/etc/c.toml", outcome.Errors).ToList();
        Assert.Collection(
            report,
            line => Assert.StartsWith("/etc/c.toml:2: url must be https", line, StringComparison.Ordinal),
            line => Assert.StartsWith("/etc/c.toml:3: \"sha256:short\" is no pin", line, StringComparison.Ordinal),
            line => Assert.StartsWith("/etc/c.toml:5: rate = 0 is out of range", line, StringComparison.Ordinal),
            line => Assert.StartsWith("/etc/c.toml:6: allowed_uids must hold integers", line, StringComparison.Ordinal),
            line => Assert.Equal(
                "/etc/c.toml:8: unknown key \"grace_peroid\" in [agent]; did you mean \"grace_period\"?", line));
    }

    [Theory]
    [InlineData("[serverr]\nurl = \"https://h\"", 1, "unknown table [serverr]; did you mean [server]?")]
    [InlineData("[what]\nx = 1\ny = 2", 1, "unknown table [what]; remove it")]
    [InlineData("[agent]\nburst = 1", 2, "unknown key \"burst\" in [agent]; it belongs under [pos]")]
    [InlineData("[agent]\nzzz = 1", 2, "unknown key \"zzz\" in [agent]; remove it")]
    [InlineData("rate = 1", 1, "\"rate\" stands before the first table; put it under its [table]")]
    [InlineData("[tpm]\nfallback = \"always\"", 2, "\"always\" is unknown; give \"off\" or \"on_loss\"")]
    [InlineData("[tpm]\nfallback = \"on_loss\"", 2,
        "fallback = \"on_loss\" needs fallback_key_file: a file or systemd credential kept apart from this disk")]
    [InlineData("[tpm]\nfallback_encrypted_storage = \"/var/lib/license-agent/agent.json\"", 2,
        "\"agent.json\" is no name for fallback_encrypted_storage; give a plain one that ends in .enc")]
    [InlineData("[tpm]\npcrs = [7]", 2,
        "tpm.pcrs is not available: with the distribution's TPM library a key under a PCR policy and an encrypted "
        + "session gives wrong results (tpm2-tss issue 2574); remove the line")]
    [InlineData("[security]\nstrikt = true", 2, "unknown key \"strikt\" in [security]; did you mean \"strict\"?")]
    public void A_key_nobody_reads_is_one_error_with_its_remedy(string file, int line, string message) =>
        Assert.Equal(new ConfigError(line, null, message), Assert.Single(Read(file).Errors));

    [Theory]
    [InlineData("[server]\nurl = \"https://u@h\"")]
    [InlineData("[server]\nurl = \"https://h/base\"")]
    [InlineData("[server]\nurl = \"https://h?q\"")]
    [InlineData("[server]\nurl = \"h:443\"")]
    [InlineData("[server]\nurl = 1")]
    [InlineData("[server]\ncert_pins = [\"sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU\"]")]
    [InlineData("[server]\nclient_cert = \"/pki/client/pos-001.crt\"")]
    [InlineData("[server]\nclient_key = \"/pki/client/pos-001.key\"")]
    [InlineData("[server]\nca_cert = \"relative.pem\"")]
    [InlineData("[server]\nca_cert = \"/etc/../ca.pem\"")]
    [InlineData("[server]\nca_cert = \"$CREDENTIALS_DIRECTORY/ca.pem\"")]
    [InlineData("[server]\nca_cert = \"$HOME/ca.pem\"")]
    [InlineData("[server]\ntimeout = 301")]
    [InlineData("[agent]\nid = \"Pos_1\"")]
    [InlineData("[agent]\nrotation_interval = 0")]
    [InlineData("[agent]\nrotation_interval = \"1d\"")]
    [InlineData("[tpm]\nenabled = false")]
    [InlineData("[tpm]\ndevice = \"/dev/tpmrm0\"")]
    [InlineData("[tpm]\ndevice = \"swtpm:localhost:0\"")]
    [InlineData("[tpm]\ndevice = \"swtpm:unix:relative\"")]
    [InlineData("[tpm]\nsigning_handle = 0x81000001")]
    [InlineData("[tpm]\nsigning_handle = 0x81018A02")]
    [InlineData("[pos]\nallowed_uids = [-1]")]
    [InlineData("[pos]\nallowed_uids = [4294967295]")]
    [InlineData("[pos]\nallowed_uids = 1000")]
    [InlineData("[pos]\nconnections_per_uid = 300")]
    [InlineData("[pos]\nconnections = 10")]
    [InlineData("[pos]\nsocket = \"/run/license-agent/admin.sock\"")]
    [InlineData("[audit]\nsegment_bytes = 65535")]
    [InlineData("[audit]\nsegment_bytes = 1073741825")]
    [InlineData("[audit]\nmax_bytes = 134217727")]
    [InlineData("[audit]\nretention = 3599")]
    [InlineData("[alerts]\nwebhook_url = \"https://h/hook\"")]
    [InlineData("[alerts]\nwebhook_secret_file = \"/etc/secret\"")]
    [InlineData("[alerts]\nwebhook_url = \"https://h/hook\"\nwebhook_secret_file = \"relative\"")]
    [InlineData("[management]\nallowed_uids = [0]\nadmin_uids = [0]")]
    [InlineData("[management]\nallowed_uids = [0]\nviewer_uids = [1]")]
    [InlineData("[management]\nadmin_uids = [0]\nviewer_uids = [0]")]
    [InlineData("[audit]\non_failure = \"ignore\"")]
    [InlineData("[degraded]\nallowed = \"yes\"")]
    public void A_wrong_value_is_one_error_on_its_line(string file)
    {
        var outcome = Read(file);
        Assert.Null(outcome.Config);
        Assert.InRange(Assert.Single(outcome.Errors).Line, 2, 3);
    }

    [Fact]
    public void A_socket_path_longer_than_the_kernel_takes_is_refused()
    {
        string runtime = "/" + new string('r', 107 - "/admin.sock".Length - 1);
        Assert.Equal(runtime + "/admin.sock", Valid($"[paths]\nruntime = \"{runtime}\"").Management.Socket);
        var error = Assert.Single(Read($"[paths]\nruntime = \"{runtime}r\"").Errors);
        Assert.Contains("admin.sock\" is too long for a socket", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Pins_of_both_keys_count_once_each() => Assert.Equal(
        [Pin1, Pin2],
        Valid($"[server]\ncert_pin = \"{Pin1}\"\ncert_pins = [\"{Pin2}\", \"{Pin1}\"]").Server.CertPins);

    [Theory]
    [InlineData("http://h/hook")]
    [InlineData("https://u:p@h/hook")]
    [InlineData("ftp://h/hook")]
    [InlineData("hook")]
    public void A_webhook_in_clear_or_with_a_user_name_is_refused(string url)
    {
        var outcome = ReadAlerts(url, new byte[16]);
        Assert.Contains("is not usable", Assert.Single(outcome.Errors).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(15, false)]
    [InlineData(16, true)]
    [InlineData(1024, true)]
    [InlineData(1025, false)]
    public void A_secret_of_the_webhook_has_16_to_1024_bytes(int length, bool good)
    {
        byte[] content = [.. Enumerable.Repeat((byte)'s', length), (byte)'\n'];
        var outcome = ReadAlerts("http://127.0.0.1:9/hook", content);
        Assert.Equal(good, outcome.Config?.Alerts.WebhookSecret.Length == length);
    }

    [Fact]
    public void Paths_move_what_is_below_them()
    {
        var config = Valid("[paths]\nlogs = \"/l\"\nruntime = \"/r\"");
        Assert.Equal(
            ("/l/audit.log", "/r/pos.sock", "/r/admin.sock"),
            (config.Audit.Path, config.Pos.Socket, config.Management.Socket));
    }

    [Fact]
    public void An_environment_variable_overrides_the_file_whatever_its_type()
    {
        var environment = new Dictionary<string, string>
        {
            ["LICENSE_AGENT__SERVER__URL"] = "https://other:8443",
            ["LICENSE_AGENT__POS__RATE"] = "100_000",
            ["LICENSE_AGENT__POS__ALLOWED_UIDS"] = " [ 1000, 1001 ] ",
            ["LICENSE_AGENT__DEGRADED__ALLOWED"] = "false",
        };
        var config = Read("[server]\nurl = \"https://h\"\n[pos]\nrate = 1", environment).Config!;
        Assert.Equal("https://other:8443", config.Server.Url);
        Assert.Equal(100_000, config.Pos.Rate);
        Assert.Equal([1000u, 1001u], config.Pos.AllowedUids);
        Assert.False(config.Degraded.Allowed);
    }

    [Theory]
    [InlineData("LICENSE_AGENT__POS__RATE", "many")]
    [InlineData("LICENSE_AGENT__POS__RATE", "0")]
    [InlineData("LICENSE_AGENT__POS__RATE", "1 2")]
    [InlineData("LICENSE_AGENT__POS__RATES", "1")]
    [InlineData("LICENSE_AGENT__SERVER__URL", "http://h")]
    [InlineData("LICENSE_AGENT__TPM__FALLBACK", "on_loss")]
    public void A_wrong_variable_is_named_by_its_name(string name, string value)
    {
        var outcome = Read("[pos]\nrate = 5", new() { [name] = value });
        string line = Assert.Single(ConfigReport.Lines("c.toml", outcome.Errors));
        Assert.StartsWith($"environment variable {name}: ", line, StringComparison.Ordinal);
    }

    [Fact]
    public void A_path_below_the_credentials_directory_is_expanded()
    {
        var environment = new Dictionary<string, string> { ["CREDENTIALS_DIRECTORY"] = "/pki/ca" };
        var config = Read("[server]\nca_cert = \"$CREDENTIALS_DIRECTORY/server-ca.crt\"", environment).Config;
        Assert.NotNull(config!.Server.CaPem);
    }

    [Fact]
    public void Mistakes_of_syntax_and_of_values_are_reported_together()
    {
        var errors = Read("[pos]\nrate = 1.5\nburst = -1\nwrong = 1\n[agent\nid = \"-\"").Errors;
        Assert.Equal([2, 3, 4, 5, 6], errors.Select(e => e.Line));
    }

    [Fact]
    public void The_report_ends_with_78_or_says_that_the_file_is_valid()
    {
        var wrong = new StringWriter();
        Assert.Equal(78, ConfigReport.Write(wrong, "c.toml", Read("x = 1")));
        Assert.StartsWith("c.toml:1: ", wrong.ToString(), StringComparison.Ordinal);
        var right = new StringWriter();
        Assert.Equal(0, ConfigReport.Write(right, "c.toml", Read("")));
        Assert.Equal("c.toml: the configuration is valid" + right.NewLine, right.ToString());
    }

    [Theory]
    [InlineData("ca_cert = \"/pki/missing.pem\"", "cannot be read (not there)")]
    [InlineData("ca_cert = \"/pki/ca/server-ca.key\"", "holds no certificate")]
    [InlineData("client_cert = \"/pki/client/pos-001.crt\"\nclient_key = \"/pki/ca/agent-ca.key\"", "cannot be used")]
    [InlineData("client_cert = \"/pki/client/pos-001.crt\"\nclient_key = \"/pki/x.key\"", "cannot be read (not there)")]
    [InlineData("client_cert = \"/pki/client/pos-001.key\"\nclient_key = \"/pki/client/pos-001.key\"", "cannot be used")]
    public void A_file_that_is_missing_or_not_what_it_should_be_is_one_error_on_its_line(string lines, string said)
    {
        var error = Assert.Single(Read("[server]\n" + lines).Errors);
        Assert.InRange(error.Line, 2, 3);
        Assert.Contains(said, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_pair_of_files_becomes_one_text_and_the_authority_another()
    {
        var server = Valid("""
            [server]
            ca_cert = "/pki/ca/server-ca.crt"
            client_cert = "/pki/client/pos-001.crt"
            client_key = "/pki/client/pos-001.key"
            """).Server;
        string client = Encoding.ASCII.GetString(server.ClientPem!);
        Assert.Contains("BEGIN CERTIFICATE", client, StringComparison.Ordinal);
        Assert.Contains("BEGIN PRIVATE KEY", client, StringComparison.Ordinal);
        Assert.Equal(Tree.Value["/pki/ca/server-ca.crt"], server.CaPem);
    }

    private static ConfigOutcome Read(string file) => Read(file, []);

    private static ConfigOutcome ReadAlerts(string url, byte[] secret) => ConfigReader.Read(
        Encoding.UTF8.GetBytes($"[alerts]\nwebhook_url = \"{url}\"\nwebhook_secret_file = \"/etc/secret\""),
        new Dictionary<string, string>(), _ => new NamedFile(secret, null));

    private static ConfigOutcome Read(string file, Dictionary<string, string> environment) => ConfigReader.Read(
        Encoding.UTF8.GetBytes(file), environment,
        path => Tree.Value.TryGetValue(path, out byte[]? content) ? new(content, null) : new(null, "not there"));

    private static Dictionary<string, byte[]> MakeTree()
    {
        using var scratch = new ScratchDirectory();
        DevTree.Create(scratch["pki"], new DevTreeOptions { AgentIds = ["pos-001"] }, TimeProvider.System);
        return Directory.EnumerateFiles(scratch["pki"], "*", SearchOption.AllDirectories)
            .ToDictionary(path => path[scratch.Path.Length..], File.ReadAllBytes);
    }

    private static AgentConfig Valid(string file)
    {
        var outcome = Read(file);
        Assert.Empty(ConfigReport.Lines("config.toml", outcome.Errors));
        return outcome.Config!;
    }
}
