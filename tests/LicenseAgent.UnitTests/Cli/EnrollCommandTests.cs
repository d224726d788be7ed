using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.Protocol.Management;
using Xunit;

namespace LicenseAgent.UnitTests.Cli;

public sealed class EnrollCommandTests
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private static readonly EnrollmentBundle Bundle = new(
        1, "pos-001", "https://license.example:8443", "license.example", [SpkiPin.Of([1, 2, 3]).ToString()],
        Base64UrlText.Encode(CaCertificate()), new KeysetPin(1, Digest32.Sha256("keyset"u8)),
        Digest32.Sha256("token"u8), SampleAnswers.Now + SampleAnswers.Days(1));

    [Fact]
    public async Task Enroll_sends_the_bundle_and_shows_what_to_compare()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        CliRun run = await EnrollAsync(agent, Write(Bundle));
        Assert.Equal(
            """
            enrolled as     pos-001
            signing key     NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs
            highest version 0

            `license-server agents show pos-001` must show the same signing key.
            The first rotation follows at once; `license-agent-cli status` shows it. Delete the bundle.

            """, run.Output);
        Assert.Equal((0, ""), (run.Exit, run.Error));
        Assert.Equal(
            StrictJson.Write(new EnrollCall(Bundle), ManagementRequestJsonContext.Wire.EnrollCall),
            Assert.Single(agent.Calls).Body);
    }

    [Fact]
    public async Task The_owner_password_is_the_first_line_of_its_file()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        await File.WriteAllTextAsync(agent["owner"], "top secret\n", TestContext.Current.CancellationToken);
        File.SetUnixFileMode(agent["owner"], Private);
        CliRun run = await EnrollAsync(agent, Write(Bundle), "--owner-auth-file", agent["owner"]);
        Assert.Equal((0, ""), (run.Exit, run.Error));
        EnrollCall call = StrictJson.Read(
            Assert.Single(agent.Calls).Body, ManagementRequestJsonContext.Wire.EnrollCall);
        Assert.Equal("top secret", call.OwnerAuth);
    }

    [Fact]
    public async Task A_replacement_is_asked_for_in_so_many_words()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        CliRun run = await EnrollAsync(agent, Write(Bundle), "--replace", "--force");
        Assert.Equal((0, ""), (run.Exit, run.Error));
        EnrollCall call = StrictJson.Read(
            Assert.Single(agent.Calls).Body, ManagementRequestJsonContext.Wire.EnrollCall);
        Assert.Equal((true, true), (call.Replace, call.Force));
    }

    [Fact]
    public async Task Force_alone_is_a_mistake()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        Assert.Equal(2, (await EnrollAsync(agent, Write(Bundle), "--force")).Exit);
        Assert.Empty(agent.Calls);
    }

    [Theory]
    [InlineData("\n")]
    [InlineData("0123456789012345678901234567890123456789012345678901234567890123x")]
    public async Task An_owner_password_that_no_TPM_has_is_not_sent(string content)
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        await File.WriteAllTextAsync(agent["owner"], content, TestContext.Current.CancellationToken);
        CliRun run = await EnrollAsync(agent, Write(Bundle), "--owner-auth-file", agent["owner"]);
        Assert.Equal(2, run.Exit);
        Assert.Empty(agent.Calls);
    }

    [Theory]
    [InlineData(UnixFileMode.GroupRead, "0640")]
    [InlineData(UnixFileMode.OtherWrite, "0602")]
    public async Task A_bundle_that_others_may_have_read_is_warned_of(UnixFileMode others, string mode)
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        CliRun run = await EnrollAsync(agent, Write(Bundle), mode: Private | others);
        Assert.Equal(0, run.Exit);
        Assert.StartsWith($"warning: {agent["bundle.json"]} has mode {mode}: ", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_bundle_past_its_time_is_warned_of_and_left_to_the_server()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        EnrollmentBundle old = Bundle with { ExpiresAt = SampleAnswers.Now - SampleAnswers.Days(2) };
        CliRun run = await EnrollAsync(agent, Write(old));
        Assert.Equal(0, run.Exit);
        Assert.Equal(
            "warning: By this machine's clock the bundle expired 2 d ago (2026-11-01T09:00:00Z).\n", run.Error);
    }

    public static TheoryData<string, string> NoBundles => new()
    {
        { "", "json_syntax" },
        { "{}", "json_missing" },
        { Text(Bundle).Replace("\"format\":1", "\"format\":2", StringComparison.Ordinal), "format 2" },
        { Text(Bundle).Replace("{\"format\"", "{\"x\":1,\"format\"", StringComparison.Ordinal), "json_unknown at /x" },
        { Text(Bundle).Replace("{\"format\"", "{\"format\":1,\"format\"", StringComparison.Ordinal), "json_duplicate" },
        { Text(Bundle with { AgentId = "POS 1" }), "agent_id" },
        { Text(Bundle with { ServerUrl = "http://license.example" }), "server_url" },
        { Text(Bundle with { ServerName = "" }), "server_name" },
        { Text(Bundle with { Pins = [] }), "pins" },
        { Text(Bundle with { Pins = ["sha256:AAAA"] }), "pins" },
        { Text(Bundle with { CaCert = "AAAA" }), "ca_cert" },
    };

    [Theory]
    [MemberData(nameof(NoBundles))]
    public async Task What_is_no_bundle_is_named_and_nothing_is_sent(string content, string fault)
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        CliRun run = await EnrollAsync(agent, Encoding.UTF8.GetBytes(content));
        Assert.Equal((2, ""), (run.Exit, run.Output));
        Assert.Contains("is no enrolment bundle", run.Error, StringComparison.Ordinal);
        Assert.Contains(fault, run.Error, StringComparison.Ordinal);
        Assert.Empty(agent.Calls);
    }

    [Fact]
    public async Task A_file_too_large_for_a_bundle_is_not_read()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        CliRun run = await EnrollAsync(agent, new byte[15 * 1024 + 1]);
        Assert.Equal(2, run.Exit);
        Assert.Contains("larger than 15360 bytes", run.Error, StringComparison.Ordinal);
    }

    private static Task<CliRun> EnrollAsync(FakeAgent agent, byte[] content, params string[] more) =>
        EnrollAsync(agent, content, Private, more);

    private static Task<CliRun> EnrollAsync(FakeAgent agent, byte[] content, UnixFileMode mode, params string[] more)
    {
        File.WriteAllBytes(agent["bundle.json"], content);
        File.SetUnixFileMode(agent["bundle.json"], mode);
        return CliRun.OfAsync(agent, ["enroll", "--bundle", agent["bundle.json"], .. more]);
    }

    private static byte[] Write(EnrollmentBundle bundle) =>
        StrictJson.Write(bundle, BundleJsonContext.Wire.EnrollmentBundle);

    private static string Text(EnrollmentBundle bundle) => Encoding.UTF8.GetString(Write(bundle));

    private static byte[] CaCertificate()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=ca", key, HashAlgorithmName.SHA256);
        var from = new DateTimeOffset(SampleAnswers.Now.ToDateTime());
        using X509Certificate2 certificate = request.CreateSelfSigned(from, from.AddDays(1));
        return certificate.RawData;
    }
}
