using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Daemon.Ports;

/// <summary>One HTTPS exchange with the license server over mutually authenticated, pinned TLS 1.3.</summary>
internal interface IUpstream
{
    /// <summary>
    /// Where to go and how to know it; a change makes new connections. Called before the first exchange.
    /// </summary>
    void Configure(UpstreamSettings settings);

    /// <summary>
    /// Sends <paramref name="body"/> (empty for GET) and returns the answer's bytes, whatever its status. Anything but
    /// a complete answer within <paramref name="deadline"/> and the size limit is a <see cref="NoContactException"/>.
    /// </summary>
    Task<UpstreamAnswer> ExchangeAsync(
        string method, string path, ReadOnlyMemory<byte> body, TimeSpan deadline, CancellationToken cancel);
}

/// <summary>The server as the agent knows it, and the agent's own certificate.</summary>
/// <param name="Url"><c>https://host:port</c>.</param>
/// <param name="ServerName">The name its certificate must carry.</param>
/// <param name="Pins">Accepted key pins, <c>sha256:…</c>, at least one.</param>
/// <param name="CaCertificate">The CA its certificate chains to, in DER, or several in PEM.</param>
/// <param name="ClientPem">Content of <c>tls.pem</c>, key and chain; <see langword="null"/> before enrolment.</param>
/// <param name="VerificationTime">Proven now: the server certificate's <c>notAfter</c> is judged against it.</param>
internal sealed record UpstreamSettings(
    string Url, string ServerName, IReadOnlyList<string> Pins, ReadOnlyMemory<byte> CaCertificate,
    ReadOnlyMemory<byte>? ClientPem, UtcTime VerificationTime);

/// <summary>An answer as it came; unverified.</summary>
/// <param name="RetryAfter">Unsigned, so it delays by at most 300 s.</param>
internal sealed record UpstreamAnswer(int Status, byte[] Body, TimeSpan? RetryAfter);

/// <summary>No complete answer from the pinned server.</summary>
internal sealed class NoContactException(string reason, string message, Exception? inner = null)
    : EnvironmentException(reason, message, retryable: true, inner)
{
    /// <summary>An unsigned wish for patience that came with it; the core caps it.</summary>
    public TimeSpan? RetryAfter { get; init; }
}
