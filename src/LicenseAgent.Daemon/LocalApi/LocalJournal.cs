using LicenseAgent.Daemon.Audit;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;

namespace LicenseAgent.Daemon.LocalApi;

/// <summary>
/// The audit log as the local API needs it. A record has its place in the chain when the call returns. A task fails
/// with a <see cref="StorageException"/> when the record cannot be had: then the answer may not leave.
/// </summary>
/// <param name="Validated">Appends the record of one answered validation; completes when it has been written.</param>
/// <param name="Noted">Appends a record nothing waits for; if it is lost, the log counts it as such.</param>
/// <param name="Called">Appends the record of a management call; completes when it is on stable storage.</param>
/// <param name="Synced">Completes when all records appended so far are on stable storage.</param>
/// <param name="Refusing">Whether validations fail now because records cannot be written.</param>
internal sealed record LocalJournal(
    ValidationAppend Validated, Action<AuditEntry> Noted, Func<AuditEntry, Task> Called, Func<Task> Synced,
    Func<bool> Refusing)
{
    public static LocalJournal Over(AuditLog log) => new(
        (in AuditedValidation validation) => log.Append(validation).Batch.Written,
        entry => log.Append(entry),
        entry => log.SyncAsync(log.Append(entry)),
        log.SyncAsync,
        () => log.OnFailure == AuditFailure.Refuse && log.Failing is not null);
}

internal delegate Task ValidationAppend(in AuditedValidation validation);
