using System.Globalization;
using System.Text;
using System.Text.Json.Serialization.Metadata;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Management;

namespace LicenseAgent.Client;

/// <summary>How a <see cref="ManagementClient"/> reaches the agent.</summary>
public sealed record ManagementClientOptions
{
    /// <summary>Where the agent listens unless its configuration says otherwise.</summary>
    public const string DefaultSocketPath = "/run/license-agent/admin.sock";

    /// <summary>The management socket.</summary>
    public string SocketPath { get; init; } = DefaultSocketPath;

    /// <summary>Longest wait for what the agent knows at once.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Longest wait for what takes a TPM, a license server or a whole log: enrol, rotate, invalidate, verify.
    /// </summary>
    public TimeSpan WorkTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>
    /// Signs in with the first call, and again when the session has ended; <see langword="null"/>: the UID alone. The
    /// client does not dispose it.
    /// </summary>
    public OperatorCredentials? Credentials { get; init; }
}

/// <summary>An answer of the management API.</summary>
/// <param name="Value">The answer, typed; members of a newer agent are left out.</param>
/// <param name="Utf8">The body exactly as the agent sent it.</param>
public sealed record ManagementAnswer<T>(T Value, ReadOnlyMemory<byte> Utf8);

/// <summary>
/// The management API on <c>admin.sock</c>. What the caller may do follows from the UID of its process and, where it
/// signs in, from its certificate: the lower of the two. Every call
/// throws <see cref="AgentException"/> when there is no answer or a refusal, and
/// <see cref="OperationCanceledException"/> when it is cancelled. Safe on any thread.
/// </summary>
public sealed class ManagementClient : IDisposable
{
    /// <summary>Most records of one page of the audit log.</summary>
    public const int AuditPageMax = 1000;

    // One operator at a terminal; the agent admits 64 per UID.
    private const int ConnectionsMax = 4;

    private const string AccessRemedy =
        "List its UID in [management] admin_uids, or in viewer_uids to look only, in "
        + "/etc/license-agent/config.toml; then systemctl reload-or-restart license-agent.";

    // A POST without a body is sent again by the handler when its connection breaks; one with a body never is.
    private static readonly byte[] NoMembers = "{}"u8.ToArray();

    private readonly ManagementClientOptions options;
    private readonly SignedInSocket socket;

    /// <summary>Makes a client; it connects with the first call.</summary>
    /// <exception cref="ArgumentException">The path is too long for a socket.</exception>
    public ManagementClient(ManagementClientOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        this.options = options;
        socket = new SignedInSocket(
            UnixSocketHttp.RequirePath(options.SocketPath), AccessRemedy, ConnectionsMax, options.Timeout,
            options.Credentials);
    }

    private static ManagementAnswerJsonContext Answers => ManagementAnswerJsonContext.Wire;

    private static ManagementRequestJsonContext Requests => ManagementRequestJsonContext.Wire;

    /// <summary>Mode, secrets, TPM, licenses seen lately and alerts at a glance.</summary>
    public Task<ManagementAnswer<StatusResponse>> StatusAsync(CancellationToken cancel = default) =>
        GetAsync(ManagementPaths.Status, Answers.StatusResponse, options.Timeout, cancel);

    /// <summary>The secrets that the agent knows; never their bytes.</summary>
    public Task<ManagementAnswer<SecretsResponse>> SecretsAsync(CancellationToken cancel = default) =>
        GetAsync(ManagementPaths.Secrets, Answers.SecretsResponse, options.Timeout, cancel);

    /// <summary>State and identity of the TPM.</summary>
    public Task<ManagementAnswer<TpmResponse>> TpmAsync(CancellationToken cancel = default) =>
        GetAsync(ManagementPaths.Tpm, Answers.TpmResponse, options.Timeout, cancel);

    /// <summary>What trusted now rests on, and why each clock is believed or not.</summary>
    public Task<ManagementAnswer<ClockResponse>> ClockAsync(CancellationToken cancel = default) =>
        GetAsync(ManagementPaths.Clock, Answers.ClockResponse, options.Timeout, cancel);

    /// <summary>Records of the audit log after a number, at most <paramref name="limit"/>.</summary>
    /// <param name="after">0 begins with the first.</param>
    /// <param name="limit">1 to <see cref="AuditPageMax"/>.</param>
    public Task<ManagementAnswer<AuditPage>> AuditAsync(long after, int limit, CancellationToken cancel = default) =>
        GetAsync(
            string.Create(CultureInfo.InvariantCulture, $"{ManagementPaths.Audit}?after={after}&limit={limit}"),
            Answers.AuditPage, options.Timeout, cancel);

    /// <summary>Has the agent verify its audit log. A log with findings is an answer, no exception.</summary>
    public Task<ManagementAnswer<AuditVerifyResponse>> VerifyAuditAsync(CancellationToken cancel = default) =>
        GetAsync(ManagementPaths.AuditVerify, Answers.AuditVerifyResponse, options.WorkTimeout, cancel);

    /// <summary>The metrics in Prometheus' text format.</summary>
    public async Task<ManagementAnswer<string>> MetricsAsync(CancellationToken cancel = default)
    {
        SocketAnswer answer = await SendAsync(HttpMethod.Get, ManagementPaths.Metrics, null, options.Timeout, cancel)
            .ConfigureAwait(false);
        return new ManagementAnswer<string>(Encoding.UTF8.GetString(answer.Body), answer.Body);
    }

    /// <summary>Whether a license could be validated now. NOT_READY is an answer, no exception.</summary>
    public async Task<ManagementAnswer<HealthResponse>> HealthAsync(CancellationToken cancel = default)
    {
        SocketAnswer answer = await socket
            .SendAsync(HttpMethod.Get, LocalPaths.Health, null, options.Timeout, cancel).ConfigureAwait(false);
        bool isHealth = answer.Status is 200 or 503 && answer.MediaType == "application/json";
        return isHealth ? Read(answer, Answers.HealthResponse) : throw socket.Refusal(answer);
    }

    /// <summary>Enrols the agent with the license server.</summary>
    public Task<ManagementAnswer<EnrollOutcome>> EnrollAsync(EnrollCall call, CancellationToken cancel = default) =>
        PostAsync(
            ManagementPaths.Enroll, StrictJson.Write(call, Requests.EnrollCall), Answers.EnrollOutcome, cancel);

    /// <summary>Has the agent rotate its secret now; answered when the rotation is over, done or failed.</summary>
    public Task<ManagementAnswer<RotateOutcome>> RotateAsync(CancellationToken cancel = default) =>
        PostAsync(ManagementPaths.Rotate, NoMembers, Answers.RotateOutcome, cancel);

    /// <summary>Invalidates a version at once and for ever.</summary>
    /// <param name="force">Needed for the last usable one.</param>
    public async Task<ManagementAnswer<InvalidateOutcome>> InvalidateAsync(
        long version, bool force, CancellationToken cancel = default)
    {
        string path = string.Create(
            CultureInfo.InvariantCulture,
            $"{ManagementPaths.InvalidatePrefix}{version}{ManagementPaths.InvalidateSuffix}");
        byte[] body = StrictJson.Write(new InvalidateCall(force ? true : null), Requests.InvalidateCall);
        SocketAnswer answer = await socket
            .SendAsync(HttpMethod.Post, path, body, options.WorkTimeout, cancel).ConfigureAwait(false);
        return answer.Status == 200
            ? Read(answer, Answers.InvalidateOutcome)
            : throw socket.Refusal(answer, names: true);
    }

    /// <summary>Allows or forbids that licenses stay valid during grace; it holds over restarts.</summary>
    public Task<ManagementAnswer<DegradedOutcome>> DegradedAsync(bool allowed, CancellationToken cancel = default) =>
        PostAsync(
            ManagementPaths.Degraded, StrictJson.Write(new DegradedCall(allowed), Requests.DegradedCall),
            Answers.DegradedOutcome, cancel);

    /// <summary>Has the agent read its configuration again. One that is refused is an answer, no exception.</summary>
    public Task<ManagementAnswer<ReloadOutcome>> ReloadAsync(CancellationToken cancel = default) =>
        PostAsync(ManagementPaths.Reload, NoMembers, Answers.ReloadOutcome, cancel);

    /// <inheritdoc/>
    public void Dispose() => socket.Dispose();

    private async Task<ManagementAnswer<T>> GetAsync<T>(
        string path, JsonTypeInfo<T> type, TimeSpan timeout, CancellationToken cancel) =>
        Read(await SendAsync(HttpMethod.Get, path, null, timeout, cancel).ConfigureAwait(false), type);

    private async Task<ManagementAnswer<T>> PostAsync<T>(
        string path, byte[] json, JsonTypeInfo<T> type, CancellationToken cancel) =>
        Read(await SendAsync(HttpMethod.Post, path, json, options.WorkTimeout, cancel).ConfigureAwait(false), type);

    private async Task<SocketAnswer> SendAsync(
        HttpMethod method, string path, byte[]? json, TimeSpan timeout, CancellationToken cancel)
    {
        SocketAnswer answer = await socket.SendAsync(method, path, json, timeout, cancel).ConfigureAwait(false);
        return answer.Status == 200 ? answer : throw socket.Refusal(answer);
    }

    private ManagementAnswer<T> Read<T>(SocketAnswer answer, JsonTypeInfo<T> type) =>
        new(socket.Read(answer, type), answer.Body);
}
