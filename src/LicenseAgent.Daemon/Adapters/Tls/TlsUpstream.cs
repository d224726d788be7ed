using System.Buffers;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Daemon.Adapters.Tls;

/// <summary>
/// The license server over HTTP/1.1 and TLS 1.3. The loop makes one exchange at a time and replaces the settings
/// between two; an exchange that is under way ends on the connections it began with.
/// </summary>
/// <param name="idleMax">An unused connection is closed after this.</param>
internal sealed class TlsUpstream(TimeProvider time, TimeSpan idleMax) : IUpstream, IDisposable
{
    // Far below the server's own idle limit: a POST on a connection that the server just closed fails and is not
    // repeated.
    private static readonly TimeSpan IdleMax = TimeSpan.FromSeconds(10);

    private UpstreamChannel? _channel;
    private NoContactException? _unusable = new(
        "not_configured", "The address of the license server is not known yet; enrol this till.");

    public TlsUpstream(TimeProvider time)
        : this(time, IdleMax)
    {
    }

    public void Configure(UpstreamSettings settings)
    {
        UpstreamChannel? next = null;
        NoContactException? unusable = null;
        try
        {
            next = new UpstreamChannel(settings, idleMax);
        }
        catch (NoContactException error)
        {
            // Bad settings are no reason to stop: every exchange says so until better ones come.
            unusable = error;
        }

        _channel?.Dispose();
        (_channel, _unusable) = (next, unusable);
    }

    public async Task<UpstreamAnswer> ExchangeAsync(
        string method, string path, ReadOnlyMemory<byte> body, TimeSpan deadline, CancellationToken cancel)
    {
        var channel = _channel ?? throw new NoContactException(_unusable!.Reason, _unusable.Message, _unusable);
        using var late = new CancellationTokenSource(deadline, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel, late.Token);
        try
        {
            return await SendAsync(channel, method, path, body, either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            throw;
        }
        catch (OperationCanceledException error)
        {
            throw new NoContactException(
                "timeout", $"{channel.Address} gave no complete answer within {deadline.TotalSeconds:0.#} s; check the "
                + "network, or raise server.timeout where it is that slow.", error);
        }
        catch (Exception error) when (error is HttpRequestException or IOException)
        {
            throw UpstreamFailure.Of(error, channel.Address);
        }
    }

    public void Dispose() => _channel?.Dispose();

    private static async Task<UpstreamAnswer> SendAsync(
        UpstreamChannel channel, string method, string path, ReadOnlyMemory<byte> body, CancellationToken cancel)
    {
        using var request = channel.Request(method, path, body);
        using var response = await channel.Invoker.SendAsync(request, cancel).ConfigureAwait(false);
        byte[] answer = await ReadAsync(response.Content, channel.Address, cancel).ConfigureAwait(false);
        // Seconds only: a date would have to be compared with a clock that nobody trusts.
        return new UpstreamAnswer((int)response.StatusCode, answer, response.Headers.RetryAfter?.Delta);
    }

    private static async Task<byte[]> ReadAsync(HttpContent content, Uri address, CancellationToken cancel)
    {
        const int Limit = AgentApiLimits.AnswerBytes;
        if (content.Headers.ContentLength > Limit)
            throw TooLarge(address);
        var stream = await content.ReadAsStreamAsync(cancel).ConfigureAwait(false);
        var answer = new ArrayBufferWriter<byte>();
        while (await stream.ReadAsync(answer.GetMemory(4096), cancel).ConfigureAwait(false) is > 0 and var count)
        {
            answer.Advance(count);
            if (answer.WrittenCount > Limit)
                throw TooLarge(address);
        }

        return answer.WrittenSpan.ToArray();
    }

    private static NoContactException TooLarge(Uri address) => new(
        "too_large", $"{address} answered more than {AgentApiLimits.AnswerBytes} bytes; check that it is the license "
        + "server.");
}
