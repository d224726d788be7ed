using System.Text;
using LicenseAgent.Cli.Display;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Local;
using Xunit;

namespace LicenseAgent.UnitTests.Cli;

public sealed class LicenseValidateTests
{
    private const string Token = "e30.e30.e30.e30.e30";

    [Fact]
    public async Task A_valid_license_is_shown_with_what_it_is_good_for()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        CliRun run = await ValidateAsync(agent);
        Assert.Equal(
            """
            answer          VALID
            license         LIC-2026-0001
            product         Till Pro
            features        fiscal, loyalty
            metadata        shop = Main Street
            expires         in 300 d (2027-08-30T09:00:00Z)
            usable until    in 8 d (2026-11-11T09:00:00Z)
            secret version  7
            mode            NORMAL
            protection      tpm

            """, run.Output);
        Assert.Equal((0, ""), (run.Exit, run.Error));
    }

    public static TheoryData<string> InvalidReasons =>
        [.. ValidationReasons.All.Where(reason => reason != ValidationReasons.Valid)];

    [Theory]
    [MemberData(nameof(InvalidReasons))]
    public async Task Every_reason_is_1_and_has_a_remedy_of_its_own(string reason)
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Validation = new ValidateLicenseResponse(false, reason, default, "NORMAL", "tpm");
        CliRun run = await ValidateAsync(agent);
        Assert.Equal(1, run.Exit);
        Assert.StartsWith($"answer          {reason}\nwhat to do      ", run.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("may say more", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_token_under_an_older_secret_is_said_to_be_renewed()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Validation = agent.Validation with { RenewedToken = "e30.e30.e30.e30.e31" };
        CliRun run = await ValidateAsync(agent);
        Assert.Equal(0, run.Exit);
        Assert.Contains("under an older secret", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_token_comes_from_a_file_or_from_standard_input_without_its_newline()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        await File.WriteAllTextAsync(agent["token"], Token + "\n", TestContext.Current.CancellationToken);
        string[] command = ["license", "validate", "--pos-socket", agent.SocketPath];
        await new CliStart().RunAsync([.. command, "--token", agent["token"]]);
        await new CliStart { Input = $"  {Token}\r\n" }.RunAsync([.. command, "--token", "-"]);
        await new CliStart { Input = Token }.RunAsync(command);
        Assert.Equal([Token, Token, Token], agent.Calls.Select(call => Request(call).LicenseToken));
    }

    [Fact]
    public async Task Each_validation_has_a_nonce_of_its_own()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        await ValidateAsync(agent);
        await ValidateAsync(agent);
        Nonce16[] nonces = [.. agent.Calls.Select(call => Request(call).Nonce)];
        Assert.NotEqual(nonces[0], nonces[1]);
    }

    [Theory]
    [InlineData("")]
    [InlineData(" \n")]
    [InlineData("two words")]
    [InlineData("Lizenz-ä")]
    public async Task What_can_be_no_token_is_not_sent(string input)
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        CliRun run = await ValidateAsync(agent, input);
        Assert.Equal(2, run.Exit);
        Assert.Empty(agent.Calls);
    }

    [Fact]
    public async Task An_answer_to_another_nonce_is_not_believed()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Instead = _ => (200, "application/json", StrictJson.Write(
            SampleAnswers.ValidLicense, LocalAnswerJsonContext.Wire.ValidateLicenseResponse));
        CliRun run = await ValidateAsync(agent);
        Assert.Equal((5, ""), (run.Exit, run.Output));
        Assert.Contains("another nonce", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task With_json_an_invalid_license_is_1_too()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Validation = new ValidateLicenseResponse(false, "EXPIRED", default, "NORMAL", "tpm");
        CliRun run = await new CliStart { Form = ScreenForm.File, Input = Token }.RunAsync(
            "license", "validate", "--json", "--pos-socket", agent.SocketPath);
        Assert.Equal(1, run.Exit);
        Assert.Equal(Encoding.UTF8.GetString(agent.LastAnswer), run.Output);
    }

    private static Task<CliRun> ValidateAsync(FakeAgent agent, string input = Token) =>
        new CliStart { Input = input }.RunAsync("license", "validate", "--pos-socket", agent.SocketPath);

    private static ValidateLicenseRequest Request(SeenCall call) =>
        StrictJson.Read(call.Body, LocalRequestJsonContext.Wire.ValidateLicenseRequest);
}
