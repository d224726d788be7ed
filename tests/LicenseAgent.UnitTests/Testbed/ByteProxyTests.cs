using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using LicenseAgent.Network;
using LicenseAgent.Testbed.Net;
using Xunit;

namespace LicenseAgent.UnitTests.Testbed;

/// <summary>What the network between does to bytes, by real sockets; its delays take no time and are counted.</summary>
public sealed class ByteProxyTests : IAsyncDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lsa-net-");
    private readonly TcpListener _server = new(IPAddress.Loopback, 0);
    private readonly CountedTime _time = new();
    private readonly ByteProxy _network;

    public ByteProxyTests()
    {
        _server.Start();
        _network = ByteProxy.Start(new IPEndPoint(IPAddress.Loopback, 0), _server.LocalEndpoint, _time);
    }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        await _network.DisposeAsync();
        _server.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Without_faults_both_directions_pass()
    {
        (Socket client, Socket server) = await ConnectAsync();
        await client.SendAsync(Bytes(3000));
        Assert.Equal(Bytes(3000), await ReadAsync(server, 3000));
        await server.SendAsync(Bytes(70_000));
        Assert.Equal(Bytes(70_000), await ReadAsync(client, 70_000));
        Assert.Empty(_time.Delays);
    }

    [Fact]
    public async Task Latency_and_jitter_are_waited_for_each_way()
    {
        _network.Conditions = new NetworkConditions { LatencyMs = 300, JitterMs = 100 };
        (Socket client, Socket server) = await ConnectAsync();
        await client.SendAsync(Bytes(10));
        await ReadAsync(server, 10);
        await server.SendAsync(Bytes(10));
        await ReadAsync(client, 10);
        Assert.Equal(2, _time.Delays.Count);
        Assert.All(_time.Delays, delay => Assert.InRange(delay.TotalMilliseconds, 300, 400));
    }

    [Fact]
    public async Task Bandwidth_is_time_by_bytes_and_slices_have_their_size()
    {
        _network.Conditions = new NetworkConditions { BytesPerSecond = 1000, SliceBytes = 100 };
        (Socket client, Socket server) = await ConnectAsync();
        await server.SendAsync(Bytes(250));
        Assert.Equal(Bytes(250), await ReadAsync(client, 250));
        Assert.Equal(250, _time.Delays.Sum(delay => delay.TotalMilliseconds), tolerance: 1);
        Assert.All(_time.Delays, delay => Assert.InRange(delay.TotalMilliseconds, 1, 100));
    }

    [Fact]
    public async Task Every_nth_byte_of_answers_has_a_bit_flipped_across_pieces()
    {
        _network.Conditions = new NetworkConditions { CorruptEvery = 7 };
        (Socket client, Socket server) = await ConnectAsync();
        await client.SendAsync(Bytes(20));
        Assert.Equal(Bytes(20), await ReadAsync(server, 20));
        await server.SendAsync(Bytes(10));
        byte[] first = await ReadAsync(client, 10);
        await server.SendAsync(Bytes(10));
        byte[] got = [.. first, .. await ReadAsync(client, 10)];
        byte[] sent = [.. Bytes(10), .. Bytes(10)];
        Assert.Equal([6, 13], Enumerable.Range(0, 20).Where(i => got[i] != sent[i]));
    }

    [Theory]
    [InlineData(NetworkWay.Answers, false, true)]
    [InlineData(NetworkWay.Requests, true, false)]
    [InlineData(NetworkWay.Both, true, true)]
    public async Task What_is_damaged_is_the_way_that_is_named(NetworkWay damages, bool requests, bool answers)
    {
        _network.Conditions = new NetworkConditions { CorruptEvery = 10, Damages = damages };
        (Socket client, Socket server) = await ConnectAsync();
        await client.SendAsync(Bytes(20));
        Assert.Equal(requests, (await ReadAsync(server, 20))[9] != Bytes(20)[9]);
        await server.SendAsync(Bytes(20));
        Assert.Equal(answers, (await ReadAsync(client, 20))[9] != Bytes(20)[9]);
    }

    [Fact]
    public async Task A_request_is_cut_after_so_many_bytes_while_answers_pass()
    {
        _network.Conditions = new NetworkConditions { CloseAfterBytes = 12, Damages = NetworkWay.Requests };
        (Socket client, Socket server) = await ConnectAsync();
        await server.SendAsync(Bytes(30));
        Assert.Equal(Bytes(30), await ReadAsync(client, 30));
        await client.SendAsync(Bytes(30));
        Assert.Equal(Bytes(30)[..12], await ReadAsync(server, 12));
        Assert.Equal(0, await server.ReceiveAsync(new byte[1], Cancel));
        Assert.Equal(0, await ReadToEndAsync(client));
    }

    [Theory]
    [InlineData(NetworkWay.Answers)]
    [InlineData(NetworkWay.Requests)]
    public async Task Both_ends_see_the_reset_of_either_way(NetworkWay damages)
    {
        _network.Conditions = new NetworkConditions { ResetAfterBytes = 12, Damages = damages };
        (Socket client, Socket server) = await ConnectAsync();
        await (damages == NetworkWay.Answers ? server : client).SendAsync(Bytes(30));
        foreach (Socket end in (Socket[])[client, server])
        {
            SocketException e = await Assert.ThrowsAsync<SocketException>(() => ReadAsync(end, 13));
            Assert.Equal(SocketError.ConnectionReset, e.SocketErrorCode);
        }
    }

    [Fact]
    public async Task The_jitter_of_a_connection_is_the_same_another_time()
    {
        double[] first = await DelaysAsync(_network, _server, _time);
        CountedTime time = new();
        using TcpListener other = new(IPAddress.Loopback, 0);
        other.Start();
        await using ByteProxy again = ByteProxy.Start(new IPEndPoint(IPAddress.Loopback, 0), other.LocalEndpoint, time);
        Assert.Equal(first, await DelaysAsync(again, other, time));
        Assert.Equal(6, first.Distinct().Count());

        static async Task<double[]> DelaysAsync(ByteProxy network, TcpListener server, CountedTime time)
        {
            network.Conditions = new NetworkConditions { JitterMs = 1000 };
            using Socket client = new(SocketType.Stream, ProtocolType.Tcp);
            await client.ConnectAsync(IPAddress.Loopback, network.Port, Cancel);
            using Socket accepted = await server.AcceptSocketAsync(Cancel);
            for (int i = 0; i < 3; i++)
            {
                await client.SendAsync(Bytes(10));
                await ReadAsync(accepted, 10);
                await accepted.SendAsync(Bytes(10));
                await ReadAsync(client, 10);
            }

            return [.. time.Delays.Select(delay => delay.TotalMilliseconds)];
        }
    }

    [Fact]
    public async Task A_connection_ends_in_order_after_so_many_bytes_of_answers()
    {
        _network.Conditions = new NetworkConditions { CloseAfterBytes = 12 };
        (Socket client, Socket server) = await ConnectAsync();
        await server.SendAsync(Bytes(30));
        Assert.Equal(Bytes(30)[..12], await ReadAsync(client, 12));
        Assert.Equal(0, await client.ReceiveAsync(new byte[1], Cancel));
    }

    [Fact]
    public async Task A_connection_is_reset_after_so_many_bytes_of_answers()
    {
        _network.Conditions = new NetworkConditions { ResetAfterBytes = 12 };
        (Socket client, Socket server) = await ConnectAsync();
        await server.SendAsync(Bytes(30));

        // A reset may overtake what was sent before it.
        SocketException e = await Assert.ThrowsAsync<SocketException>(() => ReadAsync(client, 13));
        Assert.Equal(SocketError.ConnectionReset, e.SocketErrorCode);
    }

    [Fact]
    public async Task A_connection_ends_when_its_time_is_over()
    {
        _network.Conditions = new NetworkConditions { CloseAfterMs = 5000 };
        using Socket client = await CallAsync();
        Assert.Equal(0, await client.ReceiveAsync(new byte[1], Cancel));
        Assert.Equal([5000], _time.Delays.Select(delay => delay.TotalMilliseconds));
    }

    [Fact]
    public async Task What_a_blackhole_has_swallowed_is_cut_when_it_heals()
    {
        (Socket client, Socket server) = await ConnectAsync();
        _network.Conditions = new NetworkConditions { Mode = NetworkMode.Blackhole };
        await client.SendAsync(Bytes(10));
        _network.Conditions = new NetworkConditions();
        Assert.Equal(0, await ReadToEndAsync(server));
        Assert.Equal(0, await ReadToEndAsync(client));
    }

    [Fact]
    public async Task Half_open_loses_the_answers_alone()
    {
        _network.Conditions = new NetworkConditions { Mode = NetworkMode.HalfOpen };
        (Socket client, Socket server) = await ConnectAsync();
        await client.SendAsync(Bytes(10));
        Assert.Equal(Bytes(10), await ReadAsync(server, 10));
        await server.SendAsync(Bytes(10));
        server.Shutdown(SocketShutdown.Send);
        Assert.Equal(0, await ReadToEndAsync(client));
    }

    [Fact]
    public async Task It_stands_between_Unix_sockets_as_well()
    {
        string near = Path.Combine(_folder.FullName, "near"), far = Path.Combine(_folder.FullName, "far");
        using Socket listener = UnixSocket();
        listener.Bind(new UnixDomainSocketEndPoint(far));
        listener.Listen();
        await using ByteProxy network = ByteProxy.Start(
            new UnixDomainSocketEndPoint(near), new UnixDomainSocketEndPoint(far), _time);
        using Socket client = UnixSocket();
        await client.ConnectAsync(new UnixDomainSocketEndPoint(near), Cancel);
        using Socket server = await listener.AcceptAsync(Cancel);
        await client.SendAsync(Bytes(10));
        Assert.Equal(Bytes(10), await ReadAsync(server, 10));
    }

    [Theory]
    [InlineData("""{"latency":3}""", "latency")]
    [InlineData("""{"latency_ms":-1}""", "latency_ms is -1")]
    [InlineData("""{"mode":"open"}""", "mode")]
    [InlineData("""{"damages":"neither"}""", "damages")]
    [InlineData("""{"damages":1}""", "damages")]
    [InlineData("""[]""", "NetworkConditions")]
    [InlineData("null", "JSON object")]
    public void Conditions_that_are_none_are_refused_by_name(string json, string named) =>
        Assert.Contains(named, Assert.ThrowsAny<JsonException>(() => NetworkConditions.Parse(json)).Message);

    [Fact]
    public async Task A_running_network_is_told_over_its_socket_and_says_what_holds()
    {
        string path = Path.Combine(_folder.FullName, "control");
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        Task serving = Control.ServeAsync(path, _network, stop.Token);

        Assert.Equal("{}", await ControlSocket.CallAsync(path, "", Cancel));
        Assert.Equal("""{"mode":"half-open"}""", await ControlSocket.CallAsync(path, """{"mode": "half-open"}""", Cancel));
        Assert.StartsWith(ControlSocket.Refusal, await ControlSocket.CallAsync(path, "nonsense", Cancel), StringComparison.Ordinal);
        Assert.Equal(NetworkMode.HalfOpen, _network.Conditions.Mode);
        Assert.Equal(
            """{"damages":"requests","corrupt_every":7}""",
            await ControlSocket.CallAsync(path, """{"corrupt_every": 7, "damages": "requests"}""", Cancel));
        Assert.Equal("{}", await ControlSocket.CallAsync(path, "{}", Cancel));

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => serving);
    }

    private static byte[] Bytes(int count) => [.. Enumerable.Range(0, count).Select(i => (byte)(i * 7 % 251))];

    private static Socket UnixSocket() => new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

    private static async Task<byte[]> ReadAsync(Socket from, int count)
    {
        byte[] bytes = new byte[count];
        for (int read = 0; read < count;)
        {
            int more = await from.ReceiveAsync(bytes.AsMemory(read), Cancel);
            Assert.True(more > 0, $"It ended after {read} of {count} bytes.");
            read += more;
        }

        return bytes;
    }

    /// <returns>How many bytes came before the end, in order or not.</returns>
    private static async Task<int> ReadToEndAsync(Socket from)
    {
        int read = 0, more;
        byte[] buffer = new byte[1024];
        try
        {
            while ((more = await from.ReceiveAsync(buffer, Cancel)) > 0)
                read += more;
        }
        catch (SocketException)
        {
            // Cut instead of closed.
        }

        return read;
    }

    private async Task<Socket> CallAsync()
    {
        Socket client = new(SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(IPAddress.Loopback, _network.Port, Cancel);
        return client;
    }

    private async Task<(Socket Client, Socket Server)> ConnectAsync()
    {
        Socket client = await CallAsync();
        return (client, await _server.AcceptSocketAsync(Cancel));
    }

    /// <summary>Every wait is over at once, and noted.</summary>
    private sealed class CountedTime : TimeProvider
    {
        private readonly ConcurrentQueue<TimeSpan> _delays = [];

        public ConcurrentQueue<TimeSpan> Delays => _delays;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            _delays.Enqueue(dueTime);
            return System.CreateTimer(callback, state, TimeSpan.Zero, Timeout.InfiniteTimeSpan);
        }
    }
}
