using System.Buffers;
using System.Security.Cryptography.X509Certificates;
using LicenseAgent.Daemon.Ports;

namespace LicenseAgent.Daemon.LocalApi;

/// <summary>
/// One request on a socket, as far as an answer depends on it. <paramref name="Body"/> belongs to the connection and is
/// valid until the call has been answered.
/// </summary>
/// <param name="Path">Decoded, without the query.</param>
/// <param name="Query">With its question mark, or empty.</param>
/// <param name="Oversized">The body is larger than <c>pos.request_bytes</c> and was not read.</param>
/// <param name="Connection">Different for each connection of the process.</param>
/// <param name="Authorization">The header, where it is sent.</param>
/// <param name="Certificate">Over HTTPS, where there is no UID: who the connection belongs to.</param>
/// <param name="Intermediates">What the peer sent with its certificate.</param>
internal readonly record struct LocalCall(
    PeerCredentials Peer, string Method, string Path, string Query, string? ContentType,
    ReadOnlyMemory<byte> Body, bool Oversized, long Connection = 0, string? Authorization = null,
    X509Certificate2? Certificate = null, X509Certificate2Collection? Intermediates = null);

/// <summary>What goes before the body that was written.</summary>
/// <param name="RetryAfterSeconds">0: no <c>Retry-After</c>.</param>
/// <param name="Allow">With 405: the methods there are.</param>
internal readonly record struct LocalAnswer(
    int Status, string ContentType, int RetryAfterSeconds = 0, string? Allow = null)
{
    public const string Json = "application/json";

    public static LocalAnswer Ok { get; } = new(200, Json);

    /// <summary>How long it is kept back; meanwhile the connection counts as idle.</summary>
    public TimeSpan Hold { get; init; }
}

/// <summary>Answers a call: writes the body, returns what goes before it.</summary>
internal delegate ValueTask<LocalAnswer> LocalHandler(
    LocalCall call, IBufferWriter<byte> body, CancellationToken cancel);
