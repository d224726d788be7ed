using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using LicenseAgent.Testbed.Tpm;

namespace LicenseAgent.ContractTests.Tpm;

/// <summary>
/// The Microsoft simulator's network protocol in front of an swtpm, because Debian has no package of the simulator:
/// TPM-Rev-2.0 part 4, TcpServer.c. Like it, it refuses commands until power and NV are on.
/// </summary>
internal sealed class MssimBridge : IAsyncDisposable
{
    private const uint SignalPowerOn = 1;
    private const uint SendCommand = 8;
    private const uint SignalNvOn = 11;
    private const uint SessionEnd = 20;

    private readonly SwtpmProcess _swtpm;
    private readonly TcpListener _commands;
    private readonly TcpListener _platform;
    private readonly CancellationTokenSource _stopping = new();
    private readonly List<Task> _serving = [];
    private bool _powered;
    private bool _nv;

    private MssimBridge(SwtpmProcess swtpm, TcpListener commands, TcpListener platform)
    {
        _swtpm = swtpm;
        _commands = commands;
        _platform = platform;
        _serving.Add(AcceptAsync(commands, ServeCommandsAsync));
        _serving.Add(AcceptAsync(platform, ServePlatformAsync));
    }

    public string Device => $"mssim:127.0.0.1:{((IPEndPoint)_commands.LocalEndpoint).Port}";

    /// <summary>Sessions that their client ended with the word for it.</summary>
    public int Goodbyes { get; private set; }

    public static MssimBridge Start(SwtpmProcess swtpm)
    {
        while (true)
        {
            var commands = new TcpListener(IPAddress.Loopback, 0);
            commands.Start();
            var platform = new TcpListener(IPAddress.Loopback, ((IPEndPoint)commands.LocalEndpoint).Port + 1);
            try
            {
                platform.Start();
                return new MssimBridge(swtpm, commands, platform);
            }
            catch (SocketException)
            {
                // The neighbouring port is taken; another pair is tried.
                commands.Dispose();
                platform.Dispose();
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await Task.WhenAll(_serving);
        _commands.Dispose();
        _platform.Dispose();
        _stopping.Dispose();
    }

    private async Task AcceptAsync(TcpListener listener, Func<NetworkStream, Task> serve)
    {
        try
        {
            while (true)
            {
                using var client = await listener.AcceptTcpClientAsync(_stopping.Token);
                await using var stream = client.GetStream();
                await serve(stream);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException)
        {
            // The bridge is being disposed of.
        }
    }

    private async Task ServeCommandsAsync(NetworkStream client)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(_swtpm.SocketPath), _stopping.Token);
        await using var tpm = new NetworkStream(socket);
        var head = new byte[4];
        while (await client.ReadAtLeastAsync(head, 4, false, _stopping.Token) == 4)
        {
            if (BinaryPrimitives.ReadUInt32BigEndian(head) == SessionEnd) Goodbyes++;
            if (BinaryPrimitives.ReadUInt32BigEndian(head) != SendCommand) return;
            if (!_powered || !_nv) return;
            var wrap = new byte[5];
            await client.ReadExactlyAsync(wrap, _stopping.Token);
            var command = new byte[BinaryPrimitives.ReadUInt32BigEndian(wrap.AsSpan(1))];
            await client.ReadExactlyAsync(command, _stopping.Token);

            await tpm.WriteAsync(command, _stopping.Token);
            var response = new byte[10];
            await tpm.ReadExactlyAsync(response, _stopping.Token);
            Array.Resize(ref response, (int)BinaryPrimitives.ReadUInt32BigEndian(response.AsSpan(2)));
            await tpm.ReadExactlyAsync(response.AsMemory(10), _stopping.Token);

            var answer = new byte[4 + response.Length + 4];
            BinaryPrimitives.WriteUInt32BigEndian(answer, (uint)response.Length);
            response.CopyTo(answer, 4);
            await client.WriteAsync(answer, _stopping.Token);
        }
    }

    private async Task ServePlatformAsync(NetworkStream client)
    {
        var word = new byte[4];
        while (await client.ReadAtLeastAsync(word, 4, false, _stopping.Token) == 4)
        {
            var signal = BinaryPrimitives.ReadUInt32BigEndian(word);
            if (signal == SessionEnd) return;
            _powered |= signal == SignalPowerOn;
            _nv |= signal == SignalNvOn;
            await client.WriteAsync(new byte[4], _stopping.Token);
        }
    }
}
