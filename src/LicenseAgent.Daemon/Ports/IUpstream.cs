namespace LicenseAgent.Daemon.Ports;

/// <summary>One HTTPS exchange with the license server over mutually authenticated, pinned TLS 1.3.</summary>
internal interface IUpstream
{
    /// <summary>
    /// Sends <paramref name="body"/> (empty for GET) and returns the answer's bytes, whatever its status. Anything but
    /// a complete answer within <paramref name="deadline"/> and the size limit is a <see cref="NoContactException"/>.
    /// </summary>
    Task<UpstreamAnswer> ExchangeAsync(
        string method, string path, ReadOnlyMemory<byte> body, TimeSpan deadline, CancellationToken cancel);
}

/// <summary>An answer as it came; unverified.</summary>
/// <param name="RetryAfter">Unsigned, so it delays by at most 300 s.</param>
internal sealed record UpstreamAnswer(int Status, byte[] Body, TimeSpan? RetryAfter);

/// <summary>No complete answer from the pinned server.</summary>
internal sealed class NoContactException(string reason, string message, Exception? inner = null)
    : EnvironmentException(reason, message, retryable: true, inner);
