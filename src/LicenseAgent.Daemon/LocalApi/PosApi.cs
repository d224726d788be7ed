using System.Buffers;
using System.Text;
using LicenseAgent.Daemon.LocalApi.Peers;
using LicenseAgent.Daemon.LocalApi.Validation;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.Replay;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Local;

namespace LicenseAgent.Daemon.LocalApi;

/// <summary>What the surfaces of the local API share.</summary>
/// <param name="Snapshot">The loop's latest; one volatile read.</param>
/// <param name="Time">The wall clock and durations.</param>
internal sealed record LocalContext(
    Func<AgentSnapshot> Snapshot, IBootClock BootClock, TimeProvider Time, LocalJournal Journal)
{
    public Moment Now()
    {
        AgentSnapshot snapshot = Snapshot();
        return new Moment(snapshot, snapshot.Clock.At(BootClock.BootMs), UtcTime.From(Time.GetUtcNow()));
    }
}

/// <summary>Accepts a nonce once per UID within its window, at a time of CLOCK_BOOTTIME.</summary>
internal delegate ReplayVerdict NonceGuard(uint uid, Nonce16 nonce, long bootMs);

/// <summary>Told of every validation that was answered.</summary>
/// <param name="took">From the first byte judged to the last byte written.</param>
internal delegate void ValidationMeter(string reason, bool valid, TimeSpan took);

/// <summary>How a license is wrapped anew, and what its token is called in the log.</summary>
internal sealed record LicenseRenewals(
    Func<string, CancellationToken, Task<CommandAnswer<RenewedLicense>>> Renew, TokenTagger Tag);

/// <summary><c>pos.sock</c>: what applications call. Runs on any thread; holds no state but the rate.</summary>
internal sealed class PosApi(
    LocalContext context, PeerAccess access, LicenseValidator validator, RateLimit rate, NonceGuard nonces,
    RecentLicenses recent, ValidationMeter meter, LicenseRenewals renewals)
{
    // How soon a place in a full nonce store frees is not known; this keeps the retries of a full house few.
    private const int NonceStoreFullSeconds = 30;

    /// <summary>
    /// Who does not wait between its requests waits for its refusals: asking is far cheaper than refusing, and so many
    /// a second on all of a user's connections would cost other users their time. Much less than <c>Retry-After</c>.
    /// </summary>
    public static readonly TimeSpan RefusalHold = TimeSpan.FromMilliseconds(500);

    public ValueTask<LocalAnswer> HandleAsync(LocalCall call, IBufferWriter<byte> body, CancellationToken cancel)
    {
        // It was let in when it connected; a reload may have taken it off the list since.
        if (!access.Allows(call.Peer))
            return new(Problems.Write(Problems.PeerNotAllowed, body));
        int wait = rate.Take(call.Peer.Uid);
        if (wait > 0)
            return new(Problems.Write(Problems.RateLimited, body, wait) with { Hold = RefusalHold });
        return call.Path switch
        {
            LocalPaths.ValidateLicense => Shapes.NotJsonPost(call, body) is { } refused
                ? new(refused)
                : Validate(call, body),
            LocalPaths.RenewLicense => Shapes.NotJsonPost(call, body) is { } refused
                ? new(refused)
                : Renew(call, body, cancel),
            LocalPaths.Health => new(Shapes.NotGet(call, body) ?? Health(body)),
            LocalPaths.OpenApi => new(Shapes.NotGet(call, body) ?? OpenApiDocument.Write(body)),
            _ => new(Problems.Write(Problems.NotFound, body)),
        };
    }

    private LocalAnswer Health(IBufferWriter<byte> body)
    {
        Moment now = context.Now();
        return HealthAnswer.Write(now.Snapshot, now.TrustedNow, context.Journal.Refusing(), body);
    }

    private ValueTask<LocalAnswer> Validate(in LocalCall call, IBufferWriter<byte> body)
    {
        long started = context.Time.GetTimestamp();
        ReadOnlySpan<byte> token;
        Nonce16 nonce;
        try
        {
            token = ValidateRequest.Read(call.Body.Span, out nonce);
        }
        catch (ProtocolException e)
        {
            return new(Problems.Write(Shapes.Malformed(e), body));
        }

        ReplayVerdict accepted = nonces(call.Peer.Uid, nonce, context.BootClock.BootMs);
        if (accepted == ReplayVerdict.Full)
            return new(Problems.Write(Problems.NonceStoreFull, body, NonceStoreFullSeconds));
        if (accepted == ReplayVerdict.Replayed)
            return Replayed(call.Peer, nonce, body);

        Moment now = context.Now();
        Verdict verdict;
        try
        {
            verdict = validator.Judge(token, now);
        }
        catch (EnvironmentException e)
        {
            // More tokens are being opened at a time than there is locked memory for.
            return new(Problems.Write(Problems.NotReady(e.Message), body));
        }

        if (verdict.Token is { } verified)
            recent.Note(verified, verdict.Reason, now.TrustedNow);
        PeerCredentials peer = call.Peer;
        Task written = context.Journal.Validated(new AuditedValidation(
            peer.Uid, peer.Gid, peer.Pid, nonce, validator.TagOf(token, verdict), verdict.Reason,
            verdict.Token?.Claims.Sub, verdict.Token?.Version));
        return Answer(written, verdict, nonce, started, body);
    }

    /// <summary>Asks the server; the nonce is taken and recorded first, as with a validation.</summary>
    private ValueTask<LocalAnswer> Renew(in LocalCall call, IBufferWriter<byte> body, CancellationToken cancel)
    {
        RenewLicenseRequest request;
        try
        {
            request = StrictJson.Read(call.Body.Span, LocalRequestJsonContext.Wire.RenewLicenseRequest);
        }
        catch (ProtocolException e)
        {
            return new(Problems.Write(Shapes.Malformed(e), body));
        }

        PeerCredentials peer = call.Peer;
        ReplayVerdict accepted = nonces(peer.Uid, request.Nonce, context.BootClock.BootMs);
        if (accepted == ReplayVerdict.Full)
            return new(Problems.Write(Problems.NonceStoreFull, body, NonceStoreFullSeconds));
        if (accepted == ReplayVerdict.Replayed)
            return Replayed(peer, request.Nonce, body);
        TokenTag tag = renewals.Tag(Encoding.UTF8.GetBytes(request.LicenseToken));
        Task written = context.Journal.Called(new AuditEntry(
            "license_renewal", null, AuditActor.App(peer.Uid, peer.Gid, peer.Pid), AuditOutcome.Ok,
            new AuditDetails { { "nonce", request.Nonce.ToString() }, { "token", tag.ToString() } }));
        return Renewed(written, request, body, cancel);
    }

    private async ValueTask<LocalAnswer> Renewed(
        Task written, RenewLicenseRequest request, IBufferWriter<byte> body, CancellationToken cancel)
    {
        try
        {
            await written;
        }
        catch (StorageException e)
        {
            return Problems.Write(Problems.NotReady($"The audit log cannot be written ({e.Reason})."), body);
        }

        CommandAnswer<RenewedLicense> answer = await renewals.Renew(request.LicenseToken, cancel);
        if (answer.Refused is { } refused)
            return Problems.Write(refused, body);
        body.Write(StrictJson.Write(
            new RenewLicenseResponse(answer.Done!.Token, request.Nonce),
            LocalAnswerJsonContext.Wire.RenewLicenseResponse));
        return LocalAnswer.Ok;
    }

    /// <summary>The nonce counts as used, so its record must be written before anybody sees an answer.</summary>
    private async ValueTask<LocalAnswer> Answer(
        Task written, Verdict verdict, Nonce16 nonce, long started, IBufferWriter<byte> body)
    {
        try
        {
            await written;
        }
        catch (StorageException e)
        {
            return Problems.Write(Problems.NotReady($"The audit log cannot be written ({e.Reason})."), body);
        }
        ValidationAnswer.Write(verdict, nonce, body);
        meter(verdict.Reason, verdict.IsValid, context.Time.GetElapsedTime(started));
        return LocalAnswer.Ok;
    }

    private ValueTask<LocalAnswer> Replayed(PeerCredentials peer, Nonce16 nonce, IBufferWriter<byte> body)
    {
        context.Journal.Noted(new AuditEntry(
            "nonce_replayed", null, AuditActor.App(peer.Uid, peer.Gid, peer.Pid), AuditOutcome.Refused,
            new AuditDetails { { "nonce", nonce.ToString() } }));
        return new(Problems.Write(Problems.NonceReplayed, body));
    }
}
