using System.Text;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Local;
using Xunit;

namespace LicenseAgent.UnitTests.Cli;

public sealed class LicenseRenewTests
{
    private const string Token = "e30.e30.e30.e30.e30";

    [Fact]
    public async Task A_renewed_token_is_all_that_is_printed()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Instead = call => Renewed(Nonce(call));
        CliRun run = await RenewAsync(agent);
        Assert.Equal((0, "renewed.token\n", ""), (run.Exit, run.Output, run.Error));
        Assert.Equal(Token, Request(Assert.Single(agent.Calls)).LicenseToken);
    }

    [Theory]
    [InlineData(422, ProblemCodes.Refused, "the license is not renewed: REVOKED")]
    [InlineData(503, ProblemCodes.NoContact, "The license server did not renew the license (timeout).")]
    public async Task A_license_that_is_not_renewed_is_1_and_says_why(int status, string code, string detail)
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Instead = _ => (status, "application/problem+json", FakeAgent.Problem(status, code, detail));
        CliRun run = await RenewAsync(agent);
        Assert.Equal((1, ""), (run.Exit, run.Output));
        Assert.Contains(detail, run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_answer_to_another_nonce_is_not_believed()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Instead = _ => Renewed(default);
        CliRun run = await RenewAsync(agent);
        Assert.Equal((5, ""), (run.Exit, run.Output));
    }

    [Fact]
    public async Task Inspect_shows_for_whom_a_token_is_and_asks_nobody()
    {
        string header = Base64UrlText.Encode(Encoding.ASCII.GetBytes(
            """{"alg":"dir","enc":"A256GCM","kid":"pos-007.v12","cty":"JWT","typ":"license+jwe"}"""));
        string token = $"{header}..{new string('A', 16)}.{new string('A', 40)}.{new string('A', 22)}";
        CliRun run = await new CliStart { Input = token }.RunAsync("license", "inspect");
        Assert.Equal(0, run.Exit);
        Assert.Matches("agent +pos-007", run.Output);
        Assert.Matches("secret version +12", run.Output);
    }

    [Fact]
    public async Task Inspect_says_of_anything_else_that_it_is_no_token()
    {
        CliRun run = await new CliStart { Input = Token }.RunAsync("license", "inspect");
        Assert.Equal(1, run.Exit);
        Assert.Contains("no license token", run.Output, StringComparison.Ordinal);
    }

    private static Task<CliRun> RenewAsync(FakeAgent agent) =>
        new CliStart { Input = Token }.RunAsync("license", "renew", "--pos-socket", agent.SocketPath);

    private static (int, string?, byte[])? Renewed(Nonce16 nonce) => (200, "application/json", StrictJson.Write(
        new RenewLicenseResponse("renewed.token", nonce), LocalAnswerJsonContext.Wire.RenewLicenseResponse));

    private static Nonce16 Nonce(SeenCall call) => Request(call).Nonce;

    private static RenewLicenseRequest Request(SeenCall call) =>
        StrictJson.Read(call.Body, LocalRequestJsonContext.Wire.RenewLicenseRequest);
}
