using System.Text;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Management;
using LicenseAgent.UnitTests.Daemon.SignIn;
using LicenseAgent.UnitTests.Pki;
using Xunit;

namespace LicenseAgent.UnitTests.Cli;

/// <summary><c>degraded</c>, <c>reload</c>, and the files of <c>--auth-cert</c>.</summary>
public sealed class ConductCommandTests
{
    [Theory]
    [InlineData("on", true, "Licenses stay valid during grace.")]
    [InlineData("off", false, "Licenses are refused as soon as")]
    public async Task Degraded_sends_the_order_and_says_what_holds(string word, bool allowed, string says)
    {
        string json = allowed ? """{"allowed":true}""" : """{"allowed":false}""";
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Instead = _ => (200, "application/json", Encoding.UTF8.GetBytes(json));
        CliRun run = await CliRun.OfAsync(agent, "degraded", word);
        Assert.Equal(0, run.Exit);
        Assert.StartsWith(says, run.Output, StringComparison.Ordinal);
        SeenCall call = Assert.Single(agent.Calls);
        Assert.Equal((ManagementPaths.Degraded, json), (call.Target, Encoding.UTF8.GetString(call.Body)));
    }

    [Fact]
    public async Task What_the_configuration_forbids_is_1_with_the_agents_words()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Instead = _ => (
            409, "application/problem+json", FakeAgent.Problem(409, ProblemCodes.Conflict, "Change it there."));
        CliRun run = await CliRun.OfAsync(agent, "degraded", "on");
        Assert.Equal((1, "license-agent-cli: Change it there.\n"), (run.Exit, run.Error));
    }

    [Theory]
    [InlineData("""{"outcome":"reloaded","changed":[],"errors":[]}""", 0, "Reloaded; no key differs.\n")]
    [InlineData(
        """{"outcome":"reloaded","changed":["pos.allowed_uids"],"errors":[]}""", 0,
        "Reloaded; what differs:\n  pos.allowed_uids\n")]
    [InlineData(
        """{"outcome":"refused","changed":[],"errors":["config.toml:3: no","agent.id"]}""", 1,
        "Not reloaded; the configuration of before stays in force:\n  config.toml:3: no\n  agent.id\n")]
    public async Task Reload_says_what_changed_or_every_reason_why_nothing_did(string json, int exit, string says)
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Instead = _ => (200, "application/json", Encoding.UTF8.GetBytes(json));
        CliRun run = await CliRun.OfAsync(agent, "reload");
        Assert.Equal((exit, says), (run.Exit, run.Output));
    }

    [Theory]
    [InlineData(401, ProblemCodes.CertificateRequired)]
    [InlineData(401, ProblemCodes.SessionEnded)]
    [InlineData(403, ProblemCodes.SignInRefused)]
    public async Task Not_signed_in_is_4_with_the_agents_words_alone(int status, string code)
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Instead = _ => (status, "application/problem+json", FakeAgent.Problem(status, code, "Sign in."));
        CliRun run = await CliRun.OfAsync(agent, "status");
        Assert.Equal(4, run.Exit);
        Assert.StartsWith("license-agent-cli: Sign in.", run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("admin_uids", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_without_a_certificate_is_2() =>
        Assert.Contains("--auth-key needs --auth-cert", (await UsageAsync("--auth-key", "k")).Error,
            StringComparison.Ordinal);

    [Fact]
    public async Task A_certificate_file_without_a_key_says_where_to_name_it()
    {
        using ScratchDirectory directory = new();
        using OperatorPki pki = new();
        await File.WriteAllTextAsync(
            directory["c.pem"], pki.Authority.ExportCertificatePem(), TestContext.Current.CancellationToken);
        CliRun run = await UsageAsync("--auth-cert", directory["c.pem"]);
        Assert.Contains("Name its file with --auth-key", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")]
    [InlineData("-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END EC PRIVATE KEY-----\n")]
    public async Task An_encrypted_key_says_how_to_decrypt_it(string key)
    {
        using ScratchDirectory directory = new();
        using OperatorPki pki = new();
        await File.WriteAllTextAsync(
            directory["c.pem"], pki.Authority.ExportCertificatePem() + "\n" + key,
            TestContext.Current.CancellationToken);
        CliRun run = await UsageAsync("--auth-cert", directory["c.pem"]);
        Assert.Contains("openssl pkey -in", run.Error, StringComparison.Ordinal);
    }

    private static async Task<CliRun> UsageAsync(params string[] args)
    {
        CliRun run = await new CliStart().RunAsync(["status", .. args]);
        Assert.Equal((2, ""), (run.Exit, run.Output));
        return run;
    }
}
