using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using LicenseAgent.Testbed.Net;

namespace LicenseAgent.Testbed.Tpm;

/// <summary>
/// Sits on the bus between clients and an swtpm: records every byte, tells commands apart, and does to them what its
/// rules say. Several clients may be connected, which swtpm alone does not allow; their commands take turns, so that
/// the
/// tpm2-tools can look while the agent runs. Other processes tell it rules on <see cref="FaultsPath"/>.
/// </summary>
public sealed class TpmProxy : IAsyncDisposable
{
    private const long RecordingMax = 64L * 1024 * 1024;
    private const int ClientsMax = 16;
    private const int RulesMax = 64;

    private readonly string _directory = Directory.CreateTempSubdirectory("lsa-tpmproxy-").FullName;
    private readonly CancellationTokenSource _stopping = new();
    private readonly SemaphoreSlim _turn = new(1);
    private readonly ConcurrentDictionary<Socket, Task> _clients = [];
    private readonly List<ActiveTpmRule> _rules = [];
    private readonly Lock _rulesLock = new();
    private readonly TpmUpstream _upstream;
    private readonly string _upstreamPath;
    private readonly Socket _listener;
    private readonly Socket _controlListener;
    private readonly Task _accepting;
    private readonly Task _acceptingControl;
    private readonly Task _listeningForRules;

    private TpmProxy(string upstreamPath, string? socketPath)
    {
        SocketPath = socketPath ?? Path.Combine(_directory, "sock");
        _upstreamPath = upstreamPath;
        _upstream = new TpmUpstream(upstreamPath, CloseClients, _stopping.Token);
        _listener = Listen(SocketPath);
        _controlListener = Listen(SocketPath + ".ctrl");
        _accepting = AcceptAsync(_listener, ServeAsync);
        _acceptingControl = AcceptAsync(_controlListener, ServeControlAsync);
        _listeningForRules = ControlSocket.ServeAsync(FaultsPath, Tell, _stopping.Token);
    }

    public string SocketPath { get; }

    /// <summary>The <see cref="ControlSocket"/> on which it takes rules.</summary>
    public string FaultsPath => SocketPath + ".faults";

    /// <summary>The value for <c>tpm.device</c>.</summary>
    public string Device => $"swtpm:unix:{SocketPath}";

    /// <summary>The value for the TCTI option (<c>-T</c>) of the tpm2-tools.</summary>
    public string ToolsTcti => $"swtpm:path={SocketPath}";

    public TpmRecording Recording { get; } = new(RecordingMax);

    /// <summary>
    /// Listens before <paramref name="swtpm"/>, at <paramref name="socketPath"/> or in a directory of its own.
    /// </summary>
    public static TpmProxy Start(SwtpmProcess swtpm, string? socketPath = null) => new(swtpm.SocketPath, socketPath);

    /// <summary>
    /// Puts a rule in force. The callback is awaited each time it strikes, with the bus standing still.
    /// </summary>
    public ActiveTpmRule Add(TpmRule rule, Func<TpmMoment, Task>? callback = null)
    {
        var active = new ActiveTpmRule(rule, callback);
        lock (_rulesLock) _rules.Add(active);
        return active;
    }

    /// <summary>Removes all rules and releases what they hold.</summary>
    public void Heal() => Replace([]);

    /// <summary>Answers a line of a <see cref="ControlSocket"/>: empty asks, a JSON array of rules replaces those in
    /// force and releases what they hold.</summary>
    /// <returns>A JSON array of what is in force.</returns>
    public string Tell(string line)
    {
        ArgumentNullException.ThrowIfNull(line);
        try
        {
            if (line.Length > 0) Replace(TpmRule.Parse(Encoding.UTF8.GetBytes(line)));
            lock (_rulesLock) return $"[{string.Join(',', _rules.Select(r => r.Rule.ToJson()))}]";
        }
        catch (JsonException e)
        {
            return ControlSocket.Refusal + e.Message.ReplaceLineEndings(" ");
        }
    }

    /// <summary>Tells the proxy that listens at <paramref name="faultsPath"/> its rules, a JSON array; <c>[]</c> heals.
    /// </summary>
    /// <exception cref="InvalidOperationException">They were refused; the message says why.</exception>
    public static async Task TellAsync(string faultsPath, string rules, CancellationToken cancel)
    {
        var answer = await ControlSocket.CallAsync(faultsPath, rules, cancel);
        if (answer.StartsWith(ControlSocket.Refusal, StringComparison.Ordinal))
            throw new InvalidOperationException($"The rules {rules} are none: {answer}");
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _accepting;
        await _acceptingControl;
        await StopListeningForRulesAsync();
        _listener.Dispose();
        _controlListener.Dispose();
        await Task.WhenAll(_clients.Values);
        await _upstream.StopAsync();
        _turn.Dispose();
        _stopping.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private void Replace(IReadOnlyList<TpmRule> rules)
    {
        if (rules.Count > RulesMax)
            throw new JsonException($"{rules.Count} rules are too many; at most {RulesMax}.");
        lock (_rulesLock)
        {
            foreach (var rule in _rules) rule.Release();
            _rules.Clear();
            _rules.AddRange(rules.Select(r => new ActiveTpmRule(r, callback: null)));
        }
    }

    private async Task StopListeningForRulesAsync()
    {
        try
        {
            await _listeningForRules;
        }
        catch (OperationCanceledException)
        {
            // The proxy is being disposed of.
        }
    }

    private static Socket Listen(string path)
    {
        File.Delete(path);
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(path));
        socket.Listen(ClientsMax);
        return socket;
    }

    // More clients than ClientsMax are turned away at once.
    private async Task AcceptAsync(Socket listener, Func<Socket, Task> serve)
    {
        try
        {
            while (true)
            {
                var client = await listener.AcceptAsync(_stopping.Token);
                if (_clients.Count >= ClientsMax)
                {
                    client.Dispose();
                    continue;
                }

                // Entered before it runs: one that ends at once removes its entry, and the update then finds none.
                _clients[client] = Task.CompletedTask;
                _clients.TryUpdate(client, ServeAndCloseAsync(client, serve), Task.CompletedTask);
            }
        }
        catch (OperationCanceledException)
        {
            // The proxy is being disposed of.
        }
    }

    private async Task ServeAndCloseAsync(Socket client, Func<Socket, Task> serve)
    {
        try
        {
            await serve(client);
        }
        catch (Exception e) when (e is SocketException or IOException or InvalidDataException
            or ObjectDisposedException or OperationCanceledException)
        {
            // Client or TPM went away: the client's connection ends, as it would without a proxy.
        }
        finally
        {
            client.Dispose();
            _clients.TryRemove(client, out _);
        }
    }

    private async Task ServeAsync(Socket client)
    {
        while (await TpmStream.ReadFrameAsync(client, _stopping.Token) is { } command)
        {
            await _turn.WaitAsync(_stopping.Token);
            byte[]? answer;
            try
            {
                answer = await PassAsync(command);
            }
            finally
            {
                _turn.Release();
            }

            if (answer is null) return;
            await TpmStream.WriteAsync(client, answer, _stopping.Token);
        }
    }

    /// <summary>One command through the rules and the TPM; null where the client is to be cut off.</summary>
    private async Task<byte[]?> PassAsync(byte[] command)
    {
        var code = TpmStream.Code(command);
        var moment = new TpmMoment(TpmStream.CommandOf(code), code, Executed: false);
        var striking = Striking(moment.Command);
        byte[] answer = [];
        try
        {
            foreach (var rule in striking.Where(r => !ActsOnAnswer(r.Rule.Fault)))
            {
                await rule.StrikeAsync(moment, _stopping.Token);
                if (rule.Rule.Fault == TpmFault.DropBefore) return null;
                if (rule.Rule.Fault == TpmFault.Answer) return answer = TpmStream.Answer(rule.Rule.Rc);
            }

            answer = await _upstream.ExchangeAsync(command);
        }
        finally
        {
            Recording.Add(moment.Command, code, command, answer);
        }

        foreach (var rule in striking.Where(r => ActsOnAnswer(r.Rule.Fault)))
        {
            await rule.StrikeAsync(moment with { Executed = true }, _stopping.Token);
            if (rule.Rule.Fault == TpmFault.DropAfter) return null;
            answer = Distort(rule.Rule, answer);
        }

        return answer;
    }

    private static bool ActsOnAnswer(TpmFault fault) =>
        fault is TpmFault.DropAfter or TpmFault.Corrupt or TpmFault.Truncate or TpmFault.CallAfter;

    private static byte[] Distort(TpmRule rule, byte[] answer)
    {
        // A copy: the recording keeps what the TPM said.
        var distorted = answer.ToArray();
        if (rule.Fault == TpmFault.Corrupt) distorted[rule.Offset % distorted.Length] ^= rule.Mask;
        return rule.Fault == TpmFault.Truncate ? distorted[..Math.Min(rule.Offset, distorted.Length)] : distorted;
    }

    // Every rule counts every command, also when another rule strikes first.
    private List<ActiveTpmRule> Striking(TpmCommand command)
    {
        lock (_rulesLock) return _rules.Where(r => r.Strikes(command)).ToList();
    }

    // The control channel is not on the bus; the tpm2-tools open it and it is passed on unread.
    private async Task ServeControlAsync(Socket client)
    {
        using var control = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await control.ConnectAsync(new UnixDomainSocketEndPoint(_upstreamPath + ".ctrl"), _stopping.Token);
        await Task.WhenAny(PumpAsync(client, control), PumpAsync(control, client));
    }

    private async Task PumpAsync(Socket from, Socket to)
    {
        var buffer = new byte[4096];
        try
        {
            int count;
            while ((count = await from.ReceiveAsync(buffer.AsMemory(), _stopping.Token)) > 0)
                await TpmStream.WriteAsync(to, buffer.AsMemory(0, count), _stopping.Token);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // One side ended; the other is closed by the caller.
        }
    }

    private void CloseClients()
    {
        foreach (var client in _clients.Keys) client.Dispose();
    }
}
