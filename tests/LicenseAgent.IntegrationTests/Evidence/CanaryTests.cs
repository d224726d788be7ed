using System.Text;
using LicenseAgent.IntegrationTests.EndToEnd;
using LicenseAgent.Protocol.Tokens;
using LicenseAgent.Testbed.Processes;
using Xunit;

namespace LicenseAgent.IntegrationTests.Evidence;

/// <summary>
/// I01: over enrolment, rotation, validations and a restart, nothing that the agent writes or answers anywhere holds a
/// secret, in any form.
/// </summary>
public sealed class CanaryTests(CanaryTests.LifeOfATill life) : IClassFixture<CanaryTests.LifeOfATill>
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void I01_no_output_of_the_agent_holds_eight_bytes_of_a_secret_in_any_form(long version)
    {
        byte[] secret = life.Secret(version);
        var canary = new Canary(secret);
        Assert.All(life.Outputs, output =>
        {
            Assert.True(output.Value.Length > 0, $"{output.Key} is empty, so this proves nothing.");
            Assert.True(!canary.FindIn(output.Value).Any(), $"{output.Key}: {string.Join(", ", canary.FindIn(output.Value))}");
        });
    }

    [Fact]
    public void The_outputs_are_all_there()
    {
        string[] expected =
        [
            "stdout", "file log/audit.log", "file state/run.json", "file state/state.json", "file state/agent.json",
            "file state/metrics.prom", "file state/secrets/v1.jws", "file state/secrets/v2.jws", "api /v1/status",
            "api /v1/audit", "cli status", "cli audit show", "api validate",
        ];
        Assert.All(expected, name => Assert.Contains(name, life.Outputs.Keys));
    }

    [Theory]
    [InlineData("raw")]
    [InlineData("reversed")]
    [InlineData("hex")]
    [InlineData("base64")]
    [InlineData("base64url")]
    [InlineData("utf-16")]
    [InlineData("part")]
    public void The_search_finds_what_is_there(string form)
    {
        byte[] secret = life.Secret(1);
        byte[] planted = form switch
        {
            "raw" => secret,
            "reversed" => [.. Enumerable.Reverse(secret)],
            "hex" => Encoding.ASCII.GetBytes(Convert.ToHexString(secret)),
            "base64" => Encoding.ASCII.GetBytes(Convert.ToBase64String([1, .. secret])),
            "base64url" => Encoding.ASCII.GetBytes(
                Convert.ToBase64String([1, 2, .. secret]).Replace('+', '-').Replace('/', '_')),
            "utf-16" => Encoding.Unicode.GetBytes(Convert.ToBase64String(secret)),
            _ => secret[11..19],
        };
        Assert.NotEmpty(new Canary(secret).FindIn([9, 9, 9, .. planted, 9]));
    }

    /// <summary>Enrolled, validated, rotated, restarted; and everything that was said on the way.</summary>
    public sealed class LifeOfATill : IAsyncLifetime
    {
        private readonly Dictionary<long, byte[]> _secrets = [];

        internal Dictionary<string, byte[]> Outputs { get; } = [];

        public async ValueTask InitializeAsync()
        {
            CancellationToken cancel = TestContext.Current.CancellationToken;
            await using LiveTill till = await LiveTill.StartEnrolledAsync(cancel);
            string token = await LostAnswerTests.IssueAsync(till);
            Keep("api validate", $"{await till.ValidateAsync(token)}");
            await till.Operator.RotateAsync(cancel);
            await till.AgreementAsync();
            string said = till.Agent.Process.Said;
            await till.RestartAgentAsync();
            TillBooks books = await till.AgreementAsync();
            foreach (long version in (long[])[1, 2])
            {
                _secrets[version] = till.SecretByTheServersKeyFile(version);

                // Else the search would be for bytes that nobody ever had.
                Assert.Equal(books.Bound.Secrets.Single(s => s.Version == version).Kcv, SecretKeys.Kcv(_secrets[version]));
            }
            await AskAsync(till, cancel);
            foreach (string command in (string[])["status", "secrets", "tpm", "metrics", "audit show", "audit verify"])
                await RunCliAsync(till, command, cancel);
            await till.StopAgentAsync();
            Keep("stdout", said + till.Agent.Process.Said);
            foreach (string path in Directory.EnumerateFiles(till.Folder.Root, "*", SearchOption.AllDirectories))
            {
                string name = Path.GetRelativePath(till.Folder.Root, path);
                if (new FileInfo(path).Length > 0)
                    Outputs[$"file {name}"] = await File.ReadAllBytesAsync(path, cancel);
            }
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;

        internal byte[] Secret(long version) => _secrets[version];

        private async Task AskAsync(LiveTill till, CancellationToken cancel)
        {
            Outputs["api /v1/status"] = (await till.Operator.StatusAsync(cancel)).Utf8.ToArray();
            Outputs["api /v1/secrets"] = (await till.Operator.SecretsAsync(cancel)).Utf8.ToArray();
            Outputs["api /v1/tpm"] = (await till.Operator.TpmAsync(cancel)).Utf8.ToArray();
            Outputs["api /v1/audit"] = (await till.Operator.AuditAsync(0, 1000, cancel)).Utf8.ToArray();
            Outputs["api /v1/health"] = (await till.Operator.HealthAsync(cancel)).Utf8.ToArray();
            Keep("api /v1/metrics", (await till.Operator.MetricsAsync(cancel)).Value);
        }

        private async Task RunCliAsync(LiveTill till, string command, CancellationToken cancel)
        {
            await using ChildProcess cli = await ChildProcess.StartAsync(
                ChildProcess.PathOf("license-agent-cli"), ["--socket", till.Folder.AdminSocket, .. command.Split(' ')]);
            await cli.ExitCodeAsync(cancel);
            Keep($"cli {command}", cli.Said);
        }

        private void Keep(string name, string text) => Outputs[name] = Encoding.UTF8.GetBytes(text);
    }
}
