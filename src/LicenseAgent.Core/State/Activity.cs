using System.Collections.Immutable;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Core;

/// <summary>
/// The one thing under way outside the core. Each activity was begun by exactly one effect and ends with exactly one
/// event; while it runs nothing else is begun.
/// </summary>
public abstract record Activity
{
    private Activity()
    {
    }

    /// <summary>Nothing is under way.</summary>
    public sealed record Idle : Activity
    {
        public static readonly Idle Instance = new();
    }

    /// <summary>Identity and state are being read.</summary>
    public sealed record Loading : Activity;

    /// <summary>Secret files are being opened, ACTIVE first.</summary>
    public sealed record LoadingSecrets(ImmutableArray<SecretEntry> Entries) : Activity;

    /// <summary>A request is out.</summary>
    /// <param name="RepeatedAtOnce">It already follows a refusal that allows one immediate repeat.</param>
    public sealed record Exchanging(RequestPlan Plan, bool RepeatedAtOnce) : Activity;

    /// <summary>The answer's secret is being written, unwrapped, checked, reopened.</summary>
    public sealed record Staging(RotateSecretAnswer Answer, bool Recovery) : Activity
    {
        /// <summary>By the software keys.</summary>
        public bool Software { get; init; }
    }

    /// <summary>A repaired state looks for files of the versions the server still lists.</summary>
    public sealed record LoadingPrevious(ConfirmRotationAnswer Answer) : Activity;

    /// <summary>A generation of the bound state is being written.</summary>
    public sealed record Committing(BoundState Next) : Activity;

    /// <summary>The TPM is being asked whether it is back.</summary>
    public sealed record Probing : Activity;

    /// <summary>The NV mirror and, where due, a checkpoint are being written.</summary>
    /// <param name="Mirror">The new high-water mark, where one is among it.</param>
    public sealed record Anchoring(UtcTime? Mirror = null) : Activity;

    /// <summary>The software keys for a lost TPM are being opened or made.</summary>
    public sealed record OpeningSoftware : Activity;

    /// <summary>The keysets after the trusted one are being fetched.</summary>
    public sealed record FetchingKeysets : Activity;

    /// <summary>The till is being enrolled.</summary>
    public sealed record Enrolling(long? Ticket) : Activity;
}

/// <summary>A request to the server before the loop gives it nonce, time, evidence and signature.</summary>
/// <param name="RequestId">Repeated by retries where a retry must get the same outcome.</param>
public abstract record RequestPlan(string RequestId)
{
    /// <summary>Signed by the software key, because the TPM is lost.</summary>
    public bool Software { get; init; }

    public sealed record Prepare(string RequestId, RotationIntent Intent, long Highest) : RequestPlan(RequestId);

    public sealed record Confirm(string RequestId, PendingSecret Pending) : RequestPlan(RequestId);

    public sealed record Reject(string RequestId, long Version, string Reason) : RequestPlan(RequestId);

    /// <summary>An application's license, to be wrapped anew by the server.</summary>
    public sealed record RenewLicense(string RequestId, LicenseRenewal Asked) : RequestPlan(RequestId);

    /// <summary>A client certificate over the next TLS key.</summary>
    public sealed record RenewCertificate(string RequestId) : RequestPlan(RequestId);

    public sealed record CheckIn(
        string RequestId, string Mode, string? LockReason, long ActiveVersion, ImmutableArray<long> HeldVersions,
        bool ConfirmPending, string Tpm, long RevocationsVersion, long KeysetVersion, AuditPoint? Witnessed)
        : RequestPlan(RequestId)
    {
        /// <summary>Brings the software keys the server does not have.</summary>
        public bool RegistersFallback { get; init; }
    }
}

/// <summary>A license that an application wants wrapped anew, and who waits for it.</summary>
public sealed record LicenseRenewal(long Ticket, string Token);
