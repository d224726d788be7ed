using System.Net.Sockets;
using System.Text.Json;
using LicenseAgent.Protocol.Audit;
using Xunit;

namespace LicenseAgent.IntegrationTests.LocalApi;

/// <summary>Who gets an answer, by the user that connects. These tests run as root.</summary>
public sealed class PeerTests : IAsyncLifetime
{
    private static readonly byte[] Health = RawHttp.Request("GET", "/v1/health");

    private LiveSockets _live = null!;

    public async ValueTask InitializeAsync() => _live = await LiveSockets.StartAsync();

    public ValueTask DisposeAsync() => _live.DisposeAsync();

    [Fact]
    public async Task A_listed_user_is_served_through_curl()
    {
        (int exit, string output) = await CurlAsync(LiveSockets.ListedUid, _live.Pos);
        Assert.Equal((0, "READY"), (exit, JsonDocument.Parse(output).RootElement.GetProperty("status").GetString()));
    }

    [Fact]
    public async Task An_unlisted_user_gets_403_through_curl()
    {
        (int exit, string output) = await CurlAsync(LiveSockets.UnlistedUid, _live.Pos);
        Assert.Equal((0, "peer_not_allowed"), (exit, Code(output)));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(16 * 1024)]
    public async Task An_unlisted_user_gets_the_403_a_thousand_times_out_of_a_thousand(int bodyBytes)
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        byte[] request = RawHttp.Request("POST", "/v1/validate-license", new string('x', bodyBytes));
        await Parallel.ForAsync(0, 1000, new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = cancel },
            async (_, token) =>
            {
                using Socket socket = RawHttp.ConnectAs(LiveSockets.UnlistedUid, _live.Pos);
                RawAnswer answer = await RawHttp.ExchangeAsync(socket, request, token);
                Assert.Equal((403, "peer_not_allowed"), (answer.Status, Code(answer.Body)));
                Assert.Contains("Connection: close", answer.Head, StringComparison.Ordinal);
            });
    }

    [Fact]
    public async Task An_unlisted_user_is_answered_before_a_byte_was_sent()
    {
        using Socket socket = RawHttp.ConnectAs(LiveSockets.UnlistedUid, _live.Pos);
        Assert.Equal(403, (await RawHttp.ReadAsync(socket, TestContext.Current.CancellationToken)).Status);
    }

    [Fact]
    public async Task An_unlisted_user_who_keeps_sending_is_cut_off()
    {
        using Socket socket = RawHttp.ConnectAs(LiveSockets.UnlistedUid, _live.Pos);
        byte[] flood = new byte[64 * 1024];
        await Assert.ThrowsAsync<SocketException>(async () =>
        {
            while (true)
                await socket.SendAsync(flood, TestContext.Current.CancellationToken);
        });
    }

    [Fact]
    public async Task Denials_are_recorded_once_and_then_counted()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        for (int i = 0; i < 5; i++)
        {
            using Socket socket = RawHttp.ConnectAs(LiveSockets.UnlistedUid, _live.Pos);
            await RawHttp.ReadAsync(socket, cancel);
        }
        AuditEntry record = Assert.Single(_live.Journal.Notes);
        Assert.Equal(("access_denied", LiveSockets.UnlistedUid), (record.Event, record.Actor.Uid));
    }

    [Fact]
    public async Task A_user_on_pos_sock_is_nobody_on_admin_sock()
    {
        using Socket socket = RawHttp.ConnectAs(LiveSockets.ListedUid, _live.Admin);
        RawAnswer answer = await RawHttp.ExchangeAsync(socket, Health, TestContext.Current.CancellationToken);
        Assert.Equal(403, answer.Status);
    }

    [Fact]
    public async Task A_viewer_may_look_and_not_act()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        using Socket socket = RawHttp.ConnectAs(LiveSockets.ViewerUid, _live.Admin);
        Assert.Equal(200, (await RawHttp.ExchangeAsync(socket, RawHttp.Request("GET", "/v1/status"), cancel)).Status);
        Assert.Equal(403, (await RawHttp.ExchangeAsync(socket, RawHttp.Request("POST", "/v1/rotate"), cancel)).Status);
    }

    [Fact]
    public async Task An_admin_acts_through_curl_without_a_body()
    {
        (int exit, string output) = await RunAsync(
            "curl", ["-sS", "--max-time", "20", "--unix-socket", _live.Admin, "-X", "POST", "http://agent/v1/rotate"]);
        Assert.Equal((0, """{"outcome":"rotated","version":7,"reason":null}"""), (exit, output));
    }

    [Fact]
    public async Task One_connection_too_many_gets_503_and_a_closed_one_makes_room()
    {
        await using LiveSockets small = await LiveSockets.StartAsync(pos => pos with { ConnectionsPerUid = 2 });
        CancellationToken cancel = TestContext.Current.CancellationToken;
        using Socket first = RawHttp.Connect(small.Pos);
        using Socket second = RawHttp.Connect(small.Pos);
        await RawHttp.ExchangeAsync(first, Health, cancel);
        await RawHttp.ExchangeAsync(second, Health, cancel);
        RawAnswer third = await RawHttp.ExchangeAsync(small.Pos, Health, cancel);
        Assert.Equal((503, "too_many_connections"), (third.Status, Code(third.Body)));
        using Socket other = RawHttp.ConnectAs(LiveSockets.ListedUid, small.Pos);
        Assert.Equal(200, (await RawHttp.ExchangeAsync(other, Health, cancel)).Status);
        first.Close();
        while ((await RawHttp.ExchangeAsync(small.Pos, Health, cancel)).Status != 200)
            cancel.ThrowIfCancellationRequested();
    }

    [Fact]
    public async Task A_user_held_back_for_its_rate_keeps_nobody_out()
    {
        await using LiveSockets small = await LiveSockets.StartAsync(
            pos => pos with { Connections = 2, ConnectionsPerUid = 2, Rate = 1, Burst = 1 });
        CancellationToken cancel = TestContext.Current.CancellationToken;
        Socket[] greedy = [RawHttp.Connect(small.Pos), RawHttp.Connect(small.Pos)];
        Assert.Equal(200, (await RawHttp.ExchangeAsync(greedy[0], Health, cancel)).Status);
        foreach (Socket socket in greedy)
            await socket.SendAsync(Health, cancel);

        using Socket other = RawHttp.ConnectAs(LiveSockets.ListedUid, small.Pos);
        Assert.Equal(200, (await RawHttp.ExchangeAsync(other, Health, cancel)).Status);
        foreach (Socket socket in greedy)
        {
            // Its place was given away, or it has had its refusal in its time.
            Assert.True((await RawHttp.ReadAsync(socket, cancel)).Status is 0 or 429);
            socket.Dispose();
        }
    }

    private static string? Code(string problem) =>
        JsonDocument.Parse(problem).RootElement.GetProperty("code").GetString();

    private static Task<(int Exit, string Output)> CurlAsync(uint uid, string socket) => RunAsync(
        "setpriv",
        [
            "--reuid", $"{uid}", "--regid", $"{uid}", "--clear-groups",
            "curl", "-sS", "--max-time", "20", "--unix-socket", socket, "http://agent/v1/health",
        ]);

    private static async Task<(int Exit, string Output)> RunAsync(string program, IEnumerable<string> arguments)
    {
        var start = new System.Diagnostics.ProcessStartInfo(program, arguments) { RedirectStandardOutput = true };
        using System.Diagnostics.Process process = System.Diagnostics.Process.Start(start)!;
        string output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, output);
    }
}
