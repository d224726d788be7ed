using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using LicenseAgent.Daemon.Ports;

namespace LicenseAgent.Daemon.Adapters.Tls;

/// <summary>Gives what went wrong below HTTP a stable reason and a remedy.</summary>
internal static class UpstreamFailure
{
    public static NoContactException Of(Exception error, Uri address)
    {
        if (Chain(error).OfType<NoContactException>().FirstOrDefault() is { } judged)
            return judged;
        var (reason, fact) = Name(error);
        return new NoContactException(reason, $"{address} {fact} ({Chain(error).Last().Message}).", error);
    }

    private static (string Reason, string Fact) Name(Exception error) => KindOf(error) switch
    {
        HttpRequestError.NameResolutionError => ("dns", "has a name that cannot be resolved; check DNS and server.url"),
        HttpRequestError.ConnectionError when Chain(error).Any(IsRefusal) =>
            ("refused", "refuses connections; check that the license server runs and server.url has its port"),
        HttpRequestError.ConnectionError => ("unreachable", "cannot be reached; check the network and the firewall"),
        HttpRequestError.SecureConnectionError =>
            ("tls_handshake", "does not complete a TLS 1.3 handshake; check that nothing between breaks TLS open"),
        HttpRequestError.InvalidResponse or HttpRequestError.HttpProtocolError
            or HttpRequestError.ConfigurationLimitExceeded =>
            ("bad_http", "does not answer in HTTP/1.1 within the limits; check that it is the license server"),
        // TLS 1.3 tells a refused client certificate only when the answer is read.
        _ when Chain(error).Any(e => e is CryptographicException or AuthenticationException) =>
            ("tls_refused", "broke off TLS; it does not accept this agent's certificate, enrol again"),
        _ => ("incomplete", "closed the connection before the answer was complete; the network broke, or this "
            + "agent's certificate is not accepted there"),
    };

    private static HttpRequestError KindOf(Exception error) => error switch
    {
        HttpRequestException http => http.HttpRequestError,
        HttpIOException io => io.HttpRequestError,
        _ => HttpRequestError.Unknown,
    };

    private static bool IsRefusal(Exception error) =>
        error is SocketException { SocketErrorCode: SocketError.ConnectionRefused };

    private static IEnumerable<Exception> Chain(Exception error)
    {
        for (Exception? next = error; next is not null; next = next.InnerException)
            yield return next;
    }
}
