namespace LicenseAgent.Protocol.Audit;

/// <summary>Who made something happen. The text in a record is the name in lower case.</summary>
public enum AuditActorKind
{
    /// <summary>The agent by itself: timers, start, stop.</summary>
    Agent,

    /// <summary>An application on <c>pos.sock</c>.</summary>
    App,

    /// <summary>A person or tool on <c>admin.sock</c>.</summary>
    Operator,

    /// <summary>The license server, by a verified answer.</summary>
    Server,

    /// <summary>The machine: TPM, disk, clock.</summary>
    System,
}

/// <summary>The actor of a record. Members that do not apply are <see langword="null"/> and written so.</summary>
/// <param name="Uid">User id of the peer, by SO_PEERCRED.</param>
/// <param name="Gid">Group id of the peer.</param>
/// <param name="Pid">Process id of the peer; it may be another process's by now.</param>
/// <param name="Role"><c>viewer</c> or <c>admin</c>, for operators.</param>
public readonly record struct AuditActor(AuditActorKind Kind, long? Uid, long? Gid, long? Pid, string? Role)
{
    /// <summary>The agent by itself.</summary>
    public static AuditActor Agent => new(AuditActorKind.Agent, null, null, null, null);

    /// <summary>The license server.</summary>
    public static AuditActor Server => new(AuditActorKind.Server, null, null, null, null);

    /// <summary>The machine.</summary>
    public static AuditActor System => new(AuditActorKind.System, null, null, null, null);

    /// <summary>An application.</summary>
    public static AuditActor App(long uid, long gid, long pid) => new(AuditActorKind.App, uid, gid, pid, null);

    /// <summary>An operator; <paramref name="role"/> is <see langword="null"/> for one without any.</summary>
    public static AuditActor Operator(long uid, long gid, long pid, string? role) =>
        new(AuditActorKind.Operator, uid, gid, pid, role);
}

/// <summary>How what a record tells of ended. The text is the name in lower case.</summary>
public enum AuditOutcome
{
    /// <summary>It was done.</summary>
    Ok,

    /// <summary>It was not allowed, or the answer was no.</summary>
    Refused,

    /// <summary>It was tried and did not succeed.</summary>
    Failed,
}
