using System.Buffers;
using LicenseAgent.Daemon.LocalApi.Peers;
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
internal sealed class ManagementApi(LocalContext context, Roles roles, RateLimit rate, ManagementCalls calls)
{
    private const int RecordedPathBytesMax = 128;

    public async ValueTask<LocalAnswer> HandleAsync(LocalCall call, IBufferWriter<byte> body, CancellationToken cancel)
    {
        int wait = rate.Take(call.Peer.Uid);
        if (wait > 0)
            return Problems.Write(Problems.RateLimited, body, wait);
        Role role = roles.Of(call.Peer.Uid);
        bool changes = call.Method == "POST" && role == Role.Admin;
        if (changes && await CannotRecordAsync(context.Journal.Synced()) is { } reason)
            return Problems.Write(Problems.NotReady($"Nothing was done: {Unwritable(reason)}"), body);
        var content = new ArrayBufferWriter<byte>();
        (LocalAnswer answer, AuditOutcome outcome) = await CarryOutAsync(call, role, content, cancel);
        string? lost = await CannotRecordAsync(RecordAsync(call, role, answer.Status, outcome));
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

    private async ValueTask<(LocalAnswer Answer, AuditOutcome Outcome)> CarryOutAsync(
        LocalCall call, Role role, ArrayBufferWriter<byte> content, CancellationToken cancel)
    {
        try
        {
            ManagementOutcome outcome = role == Role.None || (role != Role.Admin && call.Method == "POST")
                ? new(Problems.Write(Problems.RoleTooLow, content))
                : await calls.CarryOutAsync(call, content, cancel);
            return (outcome.Answer, outcome switch
            {
                { Answer.Status: >= 500 } or { Failed: true } => AuditOutcome.Failed,
                { Answer.Status: >= 400 } => AuditOutcome.Refused,
                _ => AuditOutcome.Ok,
            });
        }
        catch (ProtocolException e)
        {
            content.ResetWrittenCount();
            return (Problems.Write(Shapes.Malformed(e), content), AuditOutcome.Refused);
        }
        catch (EnvironmentException e)
        {
            content.ResetWrittenCount();
            return (Problems.Write(Problems.NotReady(e.Message), content), AuditOutcome.Failed);
        }
        catch (OperationCanceledException)
        {
            // The caller hung up; the record says so, and the loop decides what becomes of what it began.
            content.ResetWrittenCount();
            return (Problems.Write(Problems.NotReady("The caller went away."), content), AuditOutcome.Failed);
        }
    }

    private Task RecordAsync(LocalCall call, Role role, int status, AuditOutcome outcome) =>
        context.Journal.Called(new AuditEntry(
            "management_called", null,
            AuditActor.Operator(call.Peer.Uid, call.Peer.Gid, call.Peer.Pid, Roles.Word(role)), outcome,
            new AuditDetails
            {
                { "method", LimitedText.Cut(call.Method, RecordedPathBytesMax) },
                { "path", LimitedText.Cut(call.Path, RecordedPathBytesMax) },
                { "status", status },
            }));
}
