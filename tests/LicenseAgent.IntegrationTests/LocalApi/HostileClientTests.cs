using System.Net.Sockets;
using Xunit;

namespace LicenseAgent.IntegrationTests.LocalApi;

/// <summary>
/// I23 and I24 on real sockets: five hundred connections that mean no good beside one that does. Nothing is timed here;
/// <c>LicenseAgent.Benchmarks -- hostile</c> measures.
/// </summary>
public sealed class HostileClientTests : IAsyncLifetime
{
    private const int OfEachKind = 100, PerUid = 64, Rounds = 200;
    private const long GrowthMax = 64L << 20;

    private static readonly byte[] s_health = RawHttp.Request("GET", "/v1/health");
    private static readonly byte[] s_call = RawHttp.Request("POST", "/v1/validate-license", "{}");

    private readonly List<Socket> _crowd = [];
    private LiveSockets _live = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _live = await LiveSockets.StartAsync(
        // Four listed users with 64 connections each fill the default of 256.
        pos => pos with { AllowedUids = [0, 2001, 2002, 2003, 2004] });

    public async ValueTask DisposeAsync()
    {
        foreach (Socket socket in _crowd)
            socket.Dispose();
        await _live.DisposeAsync();
    }

    [Fact]
    public async Task A_good_client_is_always_answered_and_memory_stays_bounded()
    {
        using Socket good = RawHttp.Connect(_live.Pos);
        await AskAsync(good);
        long before = Allocated();
        var random = new Random(7);
        Join(2001, _ => { });
        Join(2002, socket => Send(socket, s_call.AsSpan(0, 20)));
        Join(2003, socket => Flood(socket, s_call));
        Join(2004, socket => Send(socket, Garbage(random)));
        Join(2999, socket => Send(socket, s_call));

        for (int i = 0; i < Rounds; i++)
        {
            await AskAsync(good);
            Socket some = _crowd[i % _crowd.Count];
            Send(some, i % 2 == 0 ? s_call : Garbage(random));
        }

        using Socket another = RawHttp.Connect(_live.Pos);
        await AskAsync(another);
        Assert.True(Allocated() - before < GrowthMax, $"{Allocated() - before} bytes more");
    }

    [Fact]
    public async Task Of_one_user_no_more_are_served_than_allowed_and_each_further_one_is_told()
    {
        Join(2001, _ => { });
        int told = 0;
        foreach (Socket further in _crowd[PerUid..])
        {
            RawAnswer answer = await RawHttp.ReadAsync(further, Cancel);
            told += answer.Status == 503 ? 1 : 0;
        }

        // Some may find the place of those that are turned away taken too, and are cut off at once.
        Assert.InRange(told, 1, OfEachKind - PerUid);
        using Socket good = RawHttp.Connect(_live.Pos);
        await AskAsync(good);
    }

    [Fact]
    public async Task Each_connection_of_garbage_gets_one_answer_and_its_end()
    {
        var random = new Random(11);
        for (int i = 0; i < OfEachKind; i++)
        {
            using Socket socket = RawHttp.Connect(_live.Pos);
            Send(socket, Garbage(random));
            socket.Shutdown(SocketShutdown.Send);
            RawAnswer answer = await ReadOrNothingAsync(socket);
            Assert.True(answer.Status is 0 or 400 or 408 or 414 or 431 or 505, answer.Head);
        }
    }

    [Fact]
    public async Task A_head_that_comes_a_byte_at_a_time_ends_at_its_time_and_not_later()
    {
        await using LiveSockets hasty = await LiveSockets.StartAsync(
            pos => pos with { HeaderTimeout = TimeSpan.FromSeconds(1) });
        using Socket socket = RawHttp.Connect(hasty.Pos);
        Send(socket, s_call.AsSpan(0, 10));

        RawAnswer answer = await ReadOrNothingAsync(socket);

        Assert.True(answer.Status is 408 or 0, answer.Head);
    }

    private void Join(uint uid, Action<Socket> act)
    {
        for (int i = 0; i < OfEachKind; i++)
        {
            Socket socket = RawHttp.ConnectAs(uid, _live.Pos);
            socket.Blocking = false;
            _crowd.Add(socket);
            act(socket);
        }
    }

    private static async Task AskAsync(Socket good) =>
        Assert.Equal(200, (await RawHttp.ExchangeAsync(good, s_health, Cancel)).Status);

    private static byte[] Garbage(Random random)
    {
        byte[] bytes = new byte[4096];
        random.NextBytes(bytes);
        return bytes;
    }

    private static void Flood(Socket socket, byte[] request)
    {
        for (int i = 0; i < 1000 && Send(socket, request); i++)
        {
        }
    }

    private static bool Send(Socket socket, ReadOnlySpan<byte> bytes)
    {
        socket.Send(bytes, SocketFlags.None, out SocketError error);
        return error == SocketError.Success;
    }

    private static async Task<RawAnswer> ReadOrNothingAsync(Socket socket)
    {
        try
        {
            return await RawHttp.ReadAsync(socket, Cancel);
        }
        catch (SocketException)
        {
            return RawAnswer.Nothing;
        }
    }

    // What the server side of this process holds after a collection; the clients' side is as small as its sockets.
    private static long Allocated() => GC.GetTotalMemory(forceFullCollection: true);
}
