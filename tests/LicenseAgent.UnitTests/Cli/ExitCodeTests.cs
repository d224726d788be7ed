using System.Net.Sockets;
using System.Text;
using LicenseAgent.Cli.Display;
using LicenseAgent.Protocol.Local;
using LicenseAgent.UnitTests.Pki;
using Xunit;

namespace LicenseAgent.UnitTests.Cli;

/// <summary>What scripts branch on, and that every message names the fact and the remedy.</summary>
public sealed class ExitCodeTests
{
    private const string Problem = "application/problem+json";

    [Theory]
    [InlineData("", "Required command was not provided")]
    [InlineData("stauts", "There is no 'stauts' here.")]
    [InlineData("status --frob", "There is no '--frob' here.")]
    [InlineData("invalidate", "Required argument missing")]
    [InlineData("invalidate x", "'x'")]
    [InlineData("invalidate 0", "A version is a number from 1.")]
    [InlineData("audit show --limit 0", "--limit is a number from 1 to 1000.")]
    [InlineData("audit show --after -1", "--after is a number from 0.")]
    [InlineData("audit tail --lines 1001", "--lines is a number from 1 to 1000.")]
    [InlineData("enroll", "--bundle")]
    [InlineData("enroll --bundle /nonexistent/b.json", "There is no file /nonexistent/b.json.")]
    [InlineData("audit verify --key k", "--log DIR or --file PATH")]
    [InlineData("license validate", "--token FILE, or on standard input")]
    public async Task Usage_is_2(string line, string says)
    {
        CliRun run = await new CliStart().RunAsync(line.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal((2, ""), (run.Exit, run.Output));
        Assert.Contains(says, run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_socket_path_that_cannot_be_one_is_2()
    {
        CliRun run = await new CliStart().RunAsync("status", "--socket", "/" + new string('s', 107));
        Assert.Equal(2, run.Exit);
        Assert.Contains("at most 107 bytes", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/nonexistent/admin.sock")]
    [InlineData("/etc/passwd/admin.sock")]
    public async Task No_socket_is_3(string path)
    {
        CliRun run = await new CliStart().RunAsync("status", "--socket", path);
        Assert.Equal((3, ""), (run.Exit, run.Output));
        Assert.Equal(
            $"license-agent-cli: There is no socket {path}. Is license-agent running? systemctl status license-agent\n",
            run.Error);
    }

    [Fact]
    public async Task A_socket_that_nobody_listens_on_is_3()
    {
        using var directory = new ScratchDirectory();
        using (var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            socket.Bind(new UnixDomainSocketEndPoint(directory["bound.sock"]));
            socket.Listen();
            File.Move(directory["bound.sock"], directory["left.sock"]);
        }
        CliRun run = await new CliStart().RunAsync("status", "--socket", directory["left.sock"]);
        Assert.Equal(3, run.Exit);
        Assert.Contains("Nobody listens on", run.Error, StringComparison.Ordinal);
        Assert.Contains("systemctl status license-agent", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", 3, "broke before the answer")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", 3, "broke before the answer")]
    [InlineData("SSH-2.0-OpenSSH_9.2\r\n", 5, "does not speak HTTP/1.1")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 4194305\r\n\r\n", 5, "larger than")]
    public async Task What_is_no_answer_is_told_apart(string sent, int exit, string says)
    {
        using var directory = new ScratchDirectory();
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(directory["odd.sock"]));
        listener.Listen();
        Task<CliRun> running = new CliStart().RunAsync("rotate", "--socket", directory["odd.sock"]);
        using (Socket peer = await listener.AcceptAsync(TestContext.Current.CancellationToken))
        {
            await peer.ReceiveAsync(new byte[4096], TestContext.Current.CancellationToken);
            await peer.SendAsync(Encoding.ASCII.GetBytes(sent), TestContext.Current.CancellationToken);
        }
        CliRun run = await running;
        Assert.Equal((exit, ""), (run.Exit, run.Output));
        Assert.Contains(says, run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_peer_that_is_turned_away_is_4_and_told_which_list()
    {
        CliRun run = await RefusedAsync(403, ProblemCodes.PeerNotAllowed, "This user may not use this socket.");
        Assert.Equal((4, ""), (run.Exit, run.Output));
        Assert.StartsWith(
            "license-agent-cli: This user may not use this socket. List its UID in [management] admin_uids, or in "
            + "viewer_uids to look only, in /etc/license-agent/config.toml;", run.Error, StringComparison.Ordinal);
        Assert.Matches(@"The UID here is [0-9]+\.\n$", run.Error);
    }

    [Fact]
    public async Task A_license_peer_that_is_turned_away_is_4_and_told_which_list()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Instead = _ => (403, Problem, FakeAgent.Problem(403, ProblemCodes.PeerNotAllowed, "No."));
        CliRun run = await new CliStart { Input = "e30" }.RunAsync(
            "license", "validate", "--pos-socket", agent.SocketPath);
        Assert.Equal(4, run.Exit);
        Assert.Contains("[pos] allowed_uids, or its group in allowed_gids", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(409, ProblemCodes.Conflict, 1)]
    [InlineData(400, ProblemCodes.BadRequest, 1)]
    [InlineData(503, ProblemCodes.NotReady, 1)]
    [InlineData(503, ProblemCodes.NoContact, 1)]
    [InlineData(503, ProblemCodes.TooManyConnections, 3)]
    [InlineData(429, ProblemCodes.RateLimited, 3)]
    [InlineData(404, ProblemCodes.NotFound, 5)]
    [InlineData(405, ProblemCodes.MethodNotAllowed, 5)]
    public async Task A_refusal_is_told_in_the_agents_words(int status, string code, int exit)
    {
        CliRun run = await RefusedAsync(status, code, "The disk is full: free it.");
        Assert.Equal((exit, ""), (run.Exit, run.Output));
        Assert.StartsWith("license-agent-cli: The disk is full: free it.", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(500, "journalctl -u license-agent")]
    [InlineData(431, "license-agent's socket")]
    [InlineData(302, "license-agent's socket")]
    public async Task A_status_without_a_reason_is_5(int status, string says)
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Instead = _ => (status, null, []);
        CliRun run = await CliRun.OfAsync(agent, "rotate");
        Assert.Equal((5, ""), (run.Exit, run.Output));
        Assert.Contains($"answered {status}", run.Error, StringComparison.Ordinal);
        Assert.Contains(says, run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"status":"READY","status":"READY","mode":"NORMAL","can_validate_until":null}""")]
    [InlineData("<html>")]
    public async Task An_answer_of_another_protocol_is_5(string body)
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Instead = _ => (200, "application/json", Encoding.UTF8.GetBytes(body));
        CliRun run = await CliRun.OfAsync(agent, "health");
        Assert.Equal((5, ""), (run.Exit, run.Output));
        Assert.Contains("not of this protocol", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Members_of_a_newer_agent_are_passed_over()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Instead = _ => (200, "application/json", Encoding.UTF8.GetBytes(
            """{"status":"READY","mode":"NORMAL","can_validate_until":null,"news":[1]}"""));
        Assert.Equal(0, (await CliRun.OfAsync(agent, "health")).Exit);
    }

    [Fact]
    public async Task With_json_a_refusal_is_printed_as_it_came()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        CliRun run = await CliRun.OfAsync(agent, ScreenForm.File, "invalidate", "7", "--json");
        Assert.Equal(1, run.Exit);
        Assert.Equal(agent.LastAnswer, run.Bytes);
        Assert.Contains("last usable", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Interrupted_is_130_and_says_that_the_agent_goes_on()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        using var ctrlC = new CancellationTokenSource();
        var answered = new TaskCompletionSource();
        agent.Recorded = _ =>
        {
            ctrlC.Cancel();
            answered.Task.Wait(TestContext.Current.CancellationToken);
        };
        CliRun run = await new CliStart { Stop = ctrlC.Token }.RunAsync("rotate", "--socket", agent.SocketPath);
        answered.SetResult();
        Assert.Equal(130, run.Exit);
        Assert.Contains("What the agent has begun goes on.", run.Error, StringComparison.Ordinal);
    }

    private static async Task<CliRun> RefusedAsync(int status, string code, string detail)
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Instead = _ => (status, Problem, FakeAgent.Problem(status, code, detail));
        return await CliRun.OfAsync(agent, "rotate");
    }
}
