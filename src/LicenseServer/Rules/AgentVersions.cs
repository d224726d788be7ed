namespace LicenseServer.Rules;

/// <summary>State of one version at the server; upper case on the wire.</summary>
internal enum VersionState
{
    Pending = 1,
    Active = 2,
    Grace = 3,
    Invalidated = 4,
    Burned = 5,
}

/// <summary>
/// What the server knows about an agent's versions; 0 = none. <paramref name="Highest"/> was ever given out,
/// <paramref name="InvalidBelow"/> is the operator's order: nothing below it may live again.
/// </summary>
internal readonly record struct AgentVersions(long Active, long Pending, long Highest, long InvalidBelow);

/// <summary>One thing that a decision does to one version, in the order in which it is to be applied and
/// audited.</summary>
internal abstract record VersionStep(long Version)
{
    /// <summary>The number is given out as PENDING for the first time.</summary>
    internal sealed record Prepare(long Version) : VersionStep(Version);

    /// <summary>PENDING that nobody can or will confirm.</summary>
    internal sealed record Burn(long Version) : VersionStep(Version);

    /// <summary>ACTIVE that its agent no longer holds.</summary>
    internal sealed record GiveUp(long Version) : VersionStep(Version);

    /// <summary>ACTIVE at the agent, unknown as such here: the server was restored. The ACTIVE before it enters
    /// GRACE.</summary>
    internal sealed record Adopt(long Version) : VersionStep(Version);

    /// <summary>The version becomes ACTIVE by its confirm; the ACTIVE before it enters GRACE.</summary>
    internal sealed record Commit(long Version) : VersionStep(Version);

    /// <summary>ACTIVE sent once more to an agent that lost it.</summary>
    internal sealed record Resend(long Version) : VersionStep(Version);
}
