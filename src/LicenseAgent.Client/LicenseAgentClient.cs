using System.Security.Cryptography;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Tokens;

namespace LicenseAgent.Client;

/// <summary>
/// Asks the License Secret Agent of this machine whether a license is good, and for what. Keep one for the life of the
/// application: it pools its connections. Safe on any thread.
/// </summary>
/// <remarks>
/// A license that is not valid is an answer, never an exception. <see cref="AgentException"/> means that there was no
/// answer; what the application does then is its own decision, and <see cref="LicenseValidation.UsableUntil"/> of the
/// last answer is a good measure for it.
/// </remarks>
public sealed class LicenseAgentClient : IDisposable
{
    internal const string AccessRemedy =
        "List its UID in [pos] allowed_uids, or its group in allowed_gids, in /etc/license-agent/config.toml; "
        + "then systemctl reload-or-restart license-agent.";

    // The agent waits for the license server, 30 s unless configured otherwise, and for what it is doing at the moment.
    private static readonly TimeSpan RenewalTimeout = TimeSpan.FromSeconds(75);

    private readonly LicenseAgentClientOptions options;
    private readonly UnixSocketHttp socket;
    private readonly VendorProof proof;

    /// <summary>Makes a client; it connects with the first call.</summary>
    /// <exception cref="ArgumentException">The path is too long for a socket, or a limit is not positive.</exception>
    public LicenseAgentClient(LicenseAgentClientOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(options.ConnectionsMax);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(options.Timeout, TimeSpan.Zero);
        this.options = options;
        socket = new UnixSocketHttp(
            UnixSocketHttp.RequirePath(options.SocketPath), AccessRemedy, options.ConnectionsMax);
        proof = new VendorProof(options.VendorKeys, options.ExpiryLeeway, options.Clock);
    }

    /// <summary>Validates a token.</summary>
    /// <param name="licenseToken">The encrypted license as the vendor gave it, at most 8 192 bytes.</param>
    /// <exception cref="AgentException">There is no answer; its <c>Fault</c> says what kind of failure.</exception>
    public async Task<LicenseValidation> ValidateAsync(string licenseToken, CancellationToken cancel = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(licenseToken);

        // A longer text is no token and would not fit into a request; the agent's answer to it is known.
        if (licenseToken.Length > LicenseToken.MaxBytes)
            licenseToken = licenseToken[..(LicenseToken.MaxBytes + 1)];
        try
        {
            return await AskAsync(licenseToken, cancel).ConfigureAwait(false);
        }
        catch (AgentException e) when (e.ConnectionBroke)
        {
            // A pooled connection that the agent, or its restart, had closed. Asking changes nothing there but that a
            // nonce is used up, and the second attempt has another.
            return await AskAsync(licenseToken, cancel).ConfigureAwait(false);
        }
    }

    /// <summary>
    /// Validates the token in <see cref="LicenseAgentClientOptions.TokenStore"/> and stores its renewed form when there
    /// is one. An empty store is <see cref="LicenseValidation.NoToken"/>.
    /// </summary>
    /// <exception cref="InvalidOperationException">There is no store.</exception>
    /// <exception cref="IOException">The store cannot be read.</exception>
    /// <exception cref="AgentException">As <see cref="ValidateAsync"/>.</exception>
    public async Task<LicenseValidation> ValidateStoredAsync(CancellationToken cancel = default)
    {
        ILicenseTokenStore store = options.TokenStore
            ?? throw new InvalidOperationException("LicenseAgentClientOptions.TokenStore is not set.");
        if (await store.ReadAsync(cancel).ConfigureAwait(false) is not { Length: > 0 } token)
            return LicenseValidation.Nothing;
        LicenseValidation validation = await ValidateAsync(token, cancel).ConfigureAwait(false);
        if (validation is not { IsValid: true, RenewedToken: { } renewed })
            return validation;
        try
        {
            await store.ReplaceAsync(token, renewed, cancel).ConfigureAwait(false);
            return validation;
        }
        catch (IOException e)
        {
            return validation with { StoreFailure = e };
        }
    }

    /// <summary>
    /// Has the license server wrap a license anew, where the agent no longer holds the secret it was wrapped under
    /// (<see cref="LicenseValidation.IsRenewable"/>). Ask <see cref="ValidateAsync"/> first: while the agent can open
    /// the token it renews it by itself.
    /// </summary>
    /// <param name="licenseToken">The encrypted license, at most 8 192 bytes.</param>
    /// <exception cref="AgentException">There is no answer of the agent; as <see cref="ValidateAsync"/>.</exception>
    public async Task<LicenseRenewal> RenewAsync(string licenseToken, CancellationToken cancel = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(licenseToken);
        Nonce16 nonce = Nonce16.From(RandomNumberGenerator.GetBytes(Nonce16.Length));
        byte[] request = StrictJson.Write(
            new RenewLicenseRequest(licenseToken, nonce), LocalRequestJsonContext.Wire.RenewLicenseRequest);
        TimeSpan timeout = options.Timeout > RenewalTimeout ? options.Timeout : RenewalTimeout;
        SocketAnswer answer = await socket
            .SendAsync(HttpMethod.Post, LocalPaths.RenewLicense, request, timeout, cancel).ConfigureAwait(false);
        if (answer.Status == 200)
        {
            RenewLicenseResponse said = Read(answer, LocalAnswerJsonContext.Wire.RenewLicenseResponse);
            return said.Nonce == nonce
                ? new LicenseRenewal(RenewalOutcome.Renewed, said.LicenseToken, null)
                : throw NotUnderstood(answer, "it answers another request");
        }

        AgentException refusal = socket.Refusal(answer);
        return refusal.Problem?.Code switch
        {
            ProblemCodes.Refused => new LicenseRenewal(RenewalOutcome.Refused, null, refusal.Problem.Detail),
            ProblemCodes.NoContact => new LicenseRenewal(RenewalOutcome.NoContact, null, refusal.Problem.Detail),
            _ => throw refusal,
        };
    }

    /// <summary>Whether a license could be validated now, and until when. NOT_READY is an answer.</summary>
    /// <exception cref="AgentException">There is no answer.</exception>
    public async Task<HealthResponse> HealthAsync(CancellationToken cancel = default)
    {
        SocketAnswer answer = await socket
            .SendAsync(HttpMethod.Get, LocalPaths.Health, null, options.Timeout, cancel).ConfigureAwait(false);
        bool isHealth = answer.Status is 200 or 503 && answer.MediaType == "application/json";
        return isHealth ? Read(answer, LocalAnswerJsonContext.Wire.HealthResponse) : throw socket.Refusal(answer);
    }

    /// <inheritdoc/>
    public void Dispose() => socket.Dispose();

    private async Task<LicenseValidation> AskAsync(string licenseToken, CancellationToken cancel)
    {
        Nonce16 nonce = Nonce16.From(RandomNumberGenerator.GetBytes(Nonce16.Length));
        byte[] request = StrictJson.Write(
            new ValidateLicenseRequest(licenseToken, nonce), LocalRequestJsonContext.Wire.ValidateLicenseRequest);
        SocketAnswer answer = await socket
            .SendAsync(HttpMethod.Post, LocalPaths.ValidateLicense, request, options.Timeout, cancel)
            .ConfigureAwait(false);
        if (answer.Status != 200)
            throw socket.Refusal(answer);
        ValidateLicenseResponse said = Read(answer, LocalAnswerJsonContext.Wire.ValidateLicenseResponse);
        if (said.Nonce != nonce)
            throw NotUnderstood(answer, "it answers another request");
        return LicenseValidation.Of(said, said.Valid ? proof.DoubtAbout(said) : null);
    }

    private T Read<T>(SocketAnswer answer, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type)
    {
        try
        {
            return StrictJson.Read(answer.Body, type);
        }
        catch (ProtocolException e)
        {
            throw NotUnderstood(answer, e.Message, e);
        }
    }

    private AgentException NotUnderstood(SocketAnswer answer, string why, Exception? inner = null) => new(
        AgentFault.NotUnderstood,
        $"The answer on {options.SocketPath} is not of this protocol ({why}). "
        + "Are agent and client of the same version?", inner)
    {
        Utf8 = answer.Body,
    };
}
