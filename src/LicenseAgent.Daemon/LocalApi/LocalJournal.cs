using LicenseAgent.Daemon.LocalApi.Operators;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;

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
    ValidationAppend Validated, Action<CallRecord> Noted, Func<CallRecord, Task> Called, Func<Task> Synced,
    Func<bool> Refusing);

internal delegate ValueTask ValidationAppend(in ValidationRecord record);

/// <summary>One answered validation.</summary>
/// <param name="TokenId">First 16 bytes of HMAC-SHA256(audit key, token).</param>
/// <param name="LicenseId">After a verified signature.</param>
internal readonly record struct ValidationRecord(
    PeerCredentials Peer, Nonce16 Nonce, string Reason, TokenTag TokenId, string? LicenseId, long? SecretVersion);

/// <summary>A management call, a replayed nonce, a peer turned away.</summary>
/// <param name="Event"><c>management_called</c>, <c>nonce_replayed</c> or <c>access_denied</c>.</param>
/// <param name="Role">Of the caller in the management API.</param>
/// <param name="Outcome"><c>ok</c>, <c>refused</c> or <c>failed</c>.</param>
/// <param name="Details">Small, no secrets: member names and values of the record's details, in order.</param>
internal readonly record struct CallRecord(
    string Event, PeerCredentials Peer, string? Role, string Outcome, IReadOnlyList<CallDetail> Details);

/// <summary>One detail: a text or a number.</summary>
internal readonly record struct CallDetail(string Name, string? Text, long Number)
{
    public static CallDetail Of(string name, string? text) => new(name, text, 0);

    public static CallDetail Of(string name, long number) => new(name, null, number);
}
