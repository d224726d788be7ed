using System.Buffers;
using System.Collections.Frozen;
using LicenseAgent.Daemon.LocalApi.Peers;
using LicenseAgent.Daemon.LocalApi.SignIn;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Management;

namespace LicenseAgent.Daemon.LocalApi.Operators;

/// <summary>
/// <c>admin.sock</c>: what operators call. Each call is recorded with its outcome before it is answered; one that
/// changes something needs a log that can be written before it starts, and its record is on stable storage before
/// anybody hears of the outcome.
/// </summary>
internal sealed class ManagementApi(
    LocalContext context, Callers callers, RateLimit rate, ManagementCalls calls, Action<PeerCredentials> limited,
    RepeatedLooks looks)
{
    private const int RecordedPathBytesMax = 128, RecordedSubjectBytesMax = 256;

    private readonly FrozenDictionary<string, ManagementRoute> _routes =
        calls.Routes.ToFrozenDictionary(route => route.Path, StringComparer.Ordinal);

    public async ValueTask<LocalAnswer> HandleAsync(LocalCall call, IBufferWriter<byte> body, CancellationToken cancel)
    {
        int wait = rate.Take(call.Peer.Uid);
        if (wait > 0)
        {
            limited(call.Peer);
            return Problems.Write(Problems.RateLimited, body, wait);
        }
        Caller caller = callers.Of(call, context.Now().TrustedNow);
        ManagementRoute? route = _routes.GetValueOrDefault(ManagementCalls.Named(call.Path));
        bool changes = route is { Changes: true } && caller.Role >= route.Needs && call.Method == route.Method;
        if (changes && await CannotRecordAsync(context.Journal.Synced()) is { } reason)
            return Problems.Write(Problems.NotReady($"Nothing was done: {Unwritable(reason)}"), body);
        var content = new ArrayBufferWriter<byte>();
        (ManagementOutcome done, AuditOutcome outcome) = await CarryOutAsync(call, caller, route, content, cancel);
        LocalAnswer answer = done.Answer;
        string? lost = await CannotRecordAsync(RecordAsync(call, caller, done, outcome));
        if (changes && lost is not null)
        {
            string detail = $"The call ended with status {answer.Status}, but its record is lost: {Unwritable(lost)}";
            return Problems.Write(Problems.NotReady(detail), body);
        }
        body.Write(content.WrittenSpan);
        return answer;
    }

    private static string Unwritable(string reason) => $"the audit log cannot be written ({reason}); free its disk.";

    /// <summary>
    /// Why a record cannot be had. Who only looks is answered all the same: with a full disk above all an operator must
    /// see what is wrong, and the log counts what it lost.
    /// </summary>
    private static async ValueTask<string?> CannotRecordAsync(Task recorded)
    {
        try
        {
            await recorded;
            return null;
        }
        catch (StorageException e)
        {
            return e.Reason;
        }
    }

    private async ValueTask<(ManagementOutcome Done, AuditOutcome Outcome)> CarryOutAsync(
        LocalCall call, Caller caller, ManagementRoute? route, ArrayBufferWriter<byte> content,
        CancellationToken cancel)
    {
        try
        {
            ManagementOutcome outcome = WhyNot(call, caller, route) is { } refusal
                ? new(Problems.Write(refusal, content))
                : await route!.Handle(call, content, cancel);
            return (outcome, outcome switch
            {
                { Answer.Status: >= 500 } or { Failed: true } => AuditOutcome.Failed,
                { Answer.Status: >= 400 } => AuditOutcome.Refused,
                _ => AuditOutcome.Ok,
            });
        }
        catch (ProtocolException e)
        {
            content.ResetWrittenCount();
            return (new(Problems.Write(Shapes.Malformed(e), content)), AuditOutcome.Refused);
        }
        catch (EnvironmentException e)
        {
            content.ResetWrittenCount();
            return (new(Problems.Write(Problems.NotReady(e.Message), content)), AuditOutcome.Failed);
        }
        catch (OperationCanceledException)
        {
            // The caller hung up; the record says so, and the loop decides what becomes of what it began.
            content.ResetWrittenCount();
            return (new(Problems.Write(Problems.NotReady("The caller went away."), content)), AuditOutcome.Failed);
        }
    }

    /// <summary>Why the caller may not make the call; who is nobody does not learn which calls there are.</summary>
    private Problem? WhyNot(in LocalCall call, in Caller caller, ManagementRoute? route)
    {
        if (route is { BeginsSession: true })
        {
            bool known = call.Certificate is not null || callers.OfUid(call.Peer.Uid) != Role.None;
            return known ? null : Problems.PeerNotAllowed;
        }
        if (caller.Refusal is { } refusal)
            return refusal;
        if (caller.Role == Role.None)
            return Problems.PeerNotAllowed;
        if (route is null)
            return Problems.NotFound;
        return caller.Role < route.Needs ? Problems.RoleTooLow : null;
    }

    private Task RecordAsync(LocalCall call, Caller caller, ManagementOutcome done, AuditOutcome outcome)
    {
        string? role = Roles.Word(caller.Role);
        PeerCredentials peer = call.Peer;
        AuditActor actor = call.Certificate is null
            ? AuditActor.Operator(peer.Uid, peer.Gid, peer.Pid, role)
            : new AuditActor(AuditActorKind.Operator, null, null, null, role);
        AuditDetails details = new()
        {
            { "method", LimitedText.Cut(call.Method, RecordedPathBytesMax) },
            { "path", LimitedText.Cut(call.Path, RecordedPathBytesMax) },
            { "status", done.Answer.Status },
        };
        if ((caller.Certificate?.Subject ?? call.Certificate?.Subject ?? done.Subject) is { } subject)
            details.Add("subject", LimitedText.Cut(subject, RecordedSubjectBytesMax));
        var entry = new AuditEntry("management_called", null, actor, outcome, details);
        return looks.Counts(call, entry) ? Task.CompletedTask : context.Journal.Called(entry);
    }
}
