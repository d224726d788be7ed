using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Serialization.Metadata;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Local;

namespace LicenseAgent.Client;

/// <summary>An answer as it came, of whatever status.</summary>
internal sealed record SocketAnswer(int Status, string? MediaType, byte[] Body, TimeSpan? RetryAfter);

/// <summary>
/// HTTP/1.1 over a Unix socket with pooled connections. Every way in which no answer comes is an
/// <see cref="AgentException"/>; an answer of any status is returned. Safe on any thread.
/// </summary>
/// <param name="accessRemedy">What lets a user in that is turned away, as a sentence.</param>
internal sealed class UnixSocketHttp(string socketPath, string accessRemedy, int connectionsMax) : IDisposable
{
    /// <summary>Longest path: <c>sun_path</c> of <c>sockaddr_un</c> without its terminator.</summary>
    public const int PathBytesMax = 107;

    // The largest answer is a page of the audit log, 1 MiB and a line.
    private const int AnswerBytesMax = 4 * 1024 * 1024;

    // The agent closes a connection after 60 s without a request. Ours go first: a request that meets the closing would
    // break, and a POST is never repeated by itself.
    private static readonly TimeSpan IdleMax = TimeSpan.FromSeconds(45);

    private readonly HttpClient http = new(Handler(socketPath, connectionsMax), disposeHandler: true)
    {
        BaseAddress = new Uri("http://localhost"),
        MaxResponseContentBufferSize = AnswerBytesMax,
        Timeout = Timeout.InfiniteTimeSpan,
    };

    /// <summary>The path given, if it can be one of a socket.</summary>
    public static string RequirePath(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return Encoding.UTF8.GetByteCount(path) <= PathBytesMax
            ? path
            : throw new ArgumentException($"The path of a socket has at most {PathBytesMax} bytes.", nameof(path));
    }

    /// <summary>One exchange. <paramref name="json"/>: <see langword="null"/> sends no body.</summary>
    /// <param name="session">Sent as <c>Authorization: Bearer</c>.</param>
    public async Task<SocketAnswer> SendAsync(
        HttpMethod method, string pathAndQuery, byte[]? json, TimeSpan timeout, CancellationToken cancel,
        string? session = null)
    {
        using var request = new HttpRequestMessage(method, pathAndQuery);
        if (session is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", session);
        if (json is not null)
        {
            request.Content = new ByteArrayContent(json);
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        }
        using var late = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        late.CancelAfter(timeout);
        try
        {
            using HttpResponseMessage response = await http.SendAsync(request, late.Token).ConfigureAwait(false);
            byte[] body = await response.Content.ReadAsByteArrayAsync(late.Token).ConfigureAwait(false);
            return new SocketAnswer(
                (int)response.StatusCode, response.Content.Headers.ContentType?.MediaType, body,
                response.Headers.RetryAfter?.Delta);
        }
        catch (OperationCanceledException e) when (!cancel.IsCancellationRequested)
        {
            throw new AgentException(
                AgentFault.Unreachable,
                $"No answer on {socketPath} within {timeout.TotalSeconds:0.#} s. Is license-agent stuck? "
                + "journalctl -u license-agent", e);
        }
        catch (HttpRequestException e)
        {
            throw NoAnswer(e);
        }
    }

    /// <summary>What an answer that is not the one hoped for means.</summary>
    /// <param name="names">The path names a thing that may not be there: 404 says so, nothing about versions.</param>
    public AgentException Refusal(SocketAnswer answer, bool names = false)
    {
        Problem? problem = ProblemOf(answer);
        string said = problem?.Detail ?? $"The agent answered {answer.Status} without saying why.";
        (AgentFault fault, string message) = answer.Status switch
        {
            401 => (AgentFault.NotPermitted, said),
            403 when problem?.Code == ProblemCodes.SignInRefused => (AgentFault.NotPermitted, said),
            403 => (AgentFault.NotPermitted, $"{said} {accessRemedy}"),
            429 => (AgentFault.Busy, said),
            503 when problem?.Code == ProblemCodes.TooManyConnections => (AgentFault.Busy, said),
            404 when names && problem is not null => (AgentFault.Refused, said),
            404 or 405 => (AgentFault.NotUnderstood, $"{said} Are agent and client of the same version?"),
            >= 500 when problem is null => (
                AgentFault.NotUnderstood, $"{said} journalctl -u license-agent tells more."),
            _ when problem is null => (AgentFault.NotUnderstood, $"{said} Is {socketPath} license-agent's socket?"),
            _ => (AgentFault.Refused, said),
        };
        return new AgentException(fault, message)
        {
            Problem = problem,
            Utf8 = answer.Body,
            RetryAfter = answer.RetryAfter,
        };
    }

    /// <summary>The body of an answer.</summary>
    /// <exception cref="AgentException">It is not what was asked for.</exception>
    public T Read<T>(SocketAnswer answer, JsonTypeInfo<T> type)
    {
        try
        {
            return StrictJson.Read(answer.Body, type);
        }
        catch (ProtocolException e)
        {
            throw new AgentException(
                AgentFault.NotUnderstood,
                $"The answer on {socketPath} is not of this protocol ({e.Message}). "
                + "Are agent and client of the same version?", e)
            {
                Utf8 = answer.Body,
            };
        }
    }

    /// <inheritdoc/>
    public void Dispose() => http.Dispose();

    private AgentException NoAnswer(HttpRequestException e) => e switch
    {
        { HttpRequestError: HttpRequestError.ConfigurationLimitExceeded } => new(
            AgentFault.NotUnderstood, $"The answer on {socketPath} is larger than {AnswerBytesMax} bytes.", e),
        { HttpRequestError: HttpRequestError.InvalidResponse } => new(
            AgentFault.NotUnderstood, $"What answers on {socketPath} does not speak HTTP/1.1.", e),
        { InnerException: SocketException socket } => NotConnected(socket),
        _ => new(
            AgentFault.Unreachable,
            $"The connection on {socketPath} broke before the answer. Was license-agent stopped? "
            + "systemctl status license-agent", e)
        {
            ConnectionBroke = true,
        },
    };

    private AgentException NotConnected(SocketException e) => e.SocketErrorCode switch
    {
        SocketError.ConnectionRefused => new(
            AgentFault.Unreachable,
            $"Nobody listens on {socketPath}. Is license-agent running? systemctl status license-agent", e),
        SocketError.AccessDenied => new(
            AgentFault.NotPermitted,
            $"This user may not reach {socketPath}: its directory wants mode 0755, it wants 0666. {accessRemedy}", e),
        SocketError.WouldBlock or SocketError.TryAgain => new(
            AgentFault.Busy, $"Too many connections wait on {socketPath}. Try again.", e),
        _ when !File.Exists(socketPath) => new(
            AgentFault.Unreachable,
            $"There is no socket {socketPath}. Is license-agent running? systemctl status license-agent", e),
        _ => new(AgentFault.Unreachable, $"The socket {socketPath} failed ({e.SocketErrorCode}).", e),
    };

    private static Problem? ProblemOf(SocketAnswer answer)
    {
        if (answer.MediaType != "application/problem+json")
            return null;
        try
        {
            return StrictJson.Read(answer.Body, LocalAnswerJsonContext.Wire.Problem);
        }
        catch (ProtocolException)
        {
            // A refusal in another form is still a refusal: the status says so.
            return null;
        }
    }

    private static SocketsHttpHandler Handler(string socketPath, int connectionsMax) => new()
    {
        ConnectCallback = (_, cancel) => ConnectAsync(socketPath, cancel),
        MaxConnectionsPerServer = connectionsMax,
        PooledConnectionIdleTimeout = IdleMax,
        ActivityHeadersPropagator = null,
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        UseCookies = false,
        UseProxy = false,
    };

    private static async ValueTask<Stream> ConnectAsync(string socketPath, CancellationToken cancel)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), cancel).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
