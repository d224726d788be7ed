using System.Collections.Immutable;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Core;

/// <summary>When something may be tried again.</summary>
/// <param name="Failures">In a row.</param>
/// <param name="NotBeforeBootMs">CLOCK_BOOTTIME.</param>
/// <param name="PatientUntilBootMs">
/// Nor before this while the agent has all it needs, <see cref="Views.HasAllItNeeds"/>: nobody loses by the wait, and
/// the server is spared. It ends with the need for it.
/// </param>
public readonly record struct RetryGate(int Failures, long NotBeforeBootMs, long PatientUntilBootMs = 0)
{
    public bool IsOpen(Now now) => now.BootMs >= NotBeforeBootMs;

    public RetryGate NotBefore(long bootMs) => this with { NotBeforeBootMs = Math.Max(NotBeforeBootMs, bootMs) };
}

/// <summary>A condition that holds and wants somebody's attention.</summary>
/// <param name="Detail">The fact and the remedy.</param>
public sealed record Alert(string Severity, UtcTime Since, string Detail);

/// <summary>Everything the decisions depend on. Immutable; only <see cref="AgentCore.Step"/> makes a new one.</summary>
public sealed record AgentState
{
    public required CoreSettings Settings { get; init; }

    public Identity? Identity { get; init; }

    /// <summary>
    /// As TPM and disk agree on it; <see langword="null"/> before the first and while LOCKED over it.
    /// </summary>
    public BoundState? Bound { get; init; }

    /// <summary>The NV counter while there is no <see cref="Bound"/>: the next generation is one above.</summary>
    public long Counter { get; init; }

    /// <summary>The keyset the agent trusts.</summary>
    public FileReference? Keyset { get; init; }

    /// <summary>When a newer keyset than the trusted one should exist.</summary>
    public UtcTime? KeysetUpdateBy { get; init; }

    /// <summary>A newer keyset seems to exist: the server named one, or signed with a key nobody knows.</summary>
    public bool KeysetWanted { get; init; }

    /// <summary>The chain is not asked for before.</summary>
    public long KeysetGateBootMs { get; init; }

    public RunState Run { get; init; } = RunState.Empty;

    /// <summary>The memory is ahead of <c>run.json</c>, because a write failed.</summary>
    public bool RunUnsaved { get; init; }

    /// <summary>The next request follows a refusal that allows one immediate repeat.</summary>
    public bool RepeatsAtOnce { get; init; }

    public TrustedClock Clock { get; init; }

    public ClockWatch Watch { get; init; } = ClockWatch.Initial;

    /// <summary>CLOCK_MONOTONIC when the request that is out was decided.</summary>
    public long SentAwakeMs { get; init; }

    /// <summary>What the last step wanted done: a failed write is made good from here.</summary>
    public ImmutableArray<AgentEffect> LastEffects { get; init; } = [];

    /// <summary>Audit records and erasures a failed write left undone; they go with the next write.</summary>
    public ImmutableArray<AgentEffect> Redo { get; init; } = [];

    /// <summary>A lock that has nothing to do with time, suspension or secrets.</summary>
    public LockReason? Lock { get; init; } = LockReason.Starting;

    /// <summary>A check-in has reported the lock, so that recovery may be asked for.</summary>
    public bool RepairReported { get; init; }

    public Activity Activity { get; init; } = Activity.Idle.Instance;

    /// <summary>A generation whose write did not certainly finish: this very one is tried before any other.</summary>
    public BoundState? Unfinished { get; init; }

    /// <summary>Whether the log tells of <see cref="Unfinished"/>, durably.</summary>
    public bool UnfinishedIsRecorded { get; init; }

    /// <summary>Versions whose bytes are in memory.</summary>
    public ImmutableSortedSet<long> Loaded { get; init; } = [];

    /// <summary>Versions whose file definitely cannot be opened.</summary>
    public ImmutableSortedSet<long> Unreadable { get; init; } = [];

    /// <summary>Versions already erased after their end; they leave the bound list at the next generation.</summary>
    public ImmutableSortedSet<long> Erased { get; init; } = [];

    public TpmHealth Tpm { get; init; }

    public string TpmDetail { get; init; } = "";

    /// <summary>Versions of the software keys; <see langword="null"/> while they are not used.</summary>
    public SoftwareBook? Software { get; init; }

    /// <summary><see cref="Software"/> is ahead of its file.</summary>
    public bool SoftwareUnsaved { get; init; }

    /// <summary>Thumbprint of the software signing key on disk, once it was opened.</summary>
    public string? FallbackKey { get; init; }

    /// <summary>What the server last said it has registered; <see langword="null"/>: it did not say.</summary>
    public string? FallbackRegistered { get; init; }

    /// <summary>The key on disk has been used, or the server does not take it: another is made.</summary>
    public bool FallbackSpent { get; init; }

    public RetryGate SoftwareGate { get; init; }

    public RetryGate TpmGate { get; init; }

    public RetryGate RotationGate { get; init; }

    public RetryGate CheckInGate { get; init; }

    public RetryGate StorageGate { get; init; }

    public RetryGate CertificateGate { get; init; }

    /// <summary>The client certificate in use.</summary>
    public CertificateLife? Certificate { get; init; }

    /// <summary>The server does not take it any more, or its successor could not be written.</summary>
    public bool CertificateOwed { get; init; }

    public RetryGate LoadGate { get; init; }

    public RetryGate CommitGate { get; init; }

    /// <summary>When the next check-in is due; 0 = at once.</summary>
    public long CheckInDueBootMs { get; init; }

    /// <summary>A check-in goes before everything else.</summary>
    public bool CheckInUrgent { get; init; }

    /// <summary>Directive: rotate while ACTIVE is at or below this.</summary>
    public long RotateAbove { get; init; }

    /// <summary>Directive: the operator wants the till enrolled anew.</summary>
    public bool ReEnrollAsked { get; init; }

    public bool EnrollmentResumable { get; init; }

    /// <summary>Operators waiting for the outcome of a rotation; at most 16.</summary>
    public ImmutableArray<long> RotateTickets { get; init; } = [];

    /// <summary>Applications waiting for a license to be wrapped anew; at most 16.</summary>
    public ImmutableArray<LicenseRenewal> Renewals { get; init; } = [];

    public long SaveDueBootMs { get; init; }

    public long AnchorDueBootMs { get; init; }

    public bool CheckpointDue { get; init; }

    /// <summary>After a failure the anchors are not tried again before this.</summary>
    public RetryGate AnchorGate { get; init; }

    public ImmutableSortedDictionary<string, Alert> Alerts { get; init; } =
        ImmutableSortedDictionary<string, Alert>.Empty;

    /// <summary>Conditions that events set and clear; the rest of the alerts follows from the state.</summary>
    public ImmutableSortedDictionary<string, string> Troubles { get; init; } =
        ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal);

    public static AgentState Initial(CoreSettings settings) => new() { Settings = settings };
}

/// <summary>What a step leaves behind.</summary>
public readonly record struct StepResult(AgentState State, IReadOnlyList<AgentEffect> Effects);
