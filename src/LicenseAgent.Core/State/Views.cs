using System.Collections.Immutable;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Core;

/// <summary>A secret that opens tokens, and until when.</summary>
/// <param name="IsSoftware">Made for the software keys.</param>
public sealed record UsableEntry(SecretEntry Entry, UtcTime End, bool IsSoftware = false);

/// <summary>What follows from a state; nothing here is stored.</summary>
public static class Views
{
    /// <summary>The facts the mode follows from.</summary>
    public static ModeFacts Facts(AgentState state)
    {
        SecretEntry? active = Active(state);
        LockReason? locked = state.Lock;
        if (locked is null && IsSuspended(state))
        {
            locked = LockReason.Suspended;
        }

        if (locked is null && active is not null && state.Unreadable.Contains(active.Version))
        {
            locked = LockReason.SecretUnreadable;
        }

        if (locked is null && active is not null && !state.Loaded.Contains(active.Version))
        {
            locked = state.Tpm is TpmHealth.Ok or TpmHealth.Unknown ? LockReason.Starting : TpmCare.ReasonOf(state.Tpm);
        }

        if (SoftwareActive(state) is { } software
            && (locked is not null || active is null || End(state, active) < End(state, software)))
        {
            // Whatever is wrong with the bound state, this one serves; but who is suspended is suspended.
            active = software;
            locked = IsSuspended(state) ? LockReason.Suspended : null;
        }

        return new ModeFacts(
            locked, active?.ValidUntil, active is null ? null : End(state, active), state.Run.LastContact,
            state.Settings.OfflineAfter, state.Settings.DegradedAllowed && !state.Run.DegradedForbidden);
    }

    public static AgentMode Mode(AgentState state, UtcTime trustedNow) => Facts(state).At(trustedNow);

    /// <summary>It serves, and not in grace.</summary>
    public static bool HasAllItNeeds(AgentState state, UtcTime trustedNow) =>
        Mode(state, trustedNow) is AgentMode.Normal or AgentMode.Offline;

    /// <summary>ACTIVE, unless a level takes it out of use.</summary>
    public static SecretEntry? Active(AgentState state) =>
        state.Bound?.Active is { } active && !state.Run.Levels.Forbids(active.Version) ? active : null;

    /// <summary>ACTIVE of the software keys that serves; it may go on until the TPM has been answered.</summary>
    public static SecretEntry? SoftwareActive(AgentState state) =>
        state.Software?.Active is { } active && IsOpenable(state, active.Version) ? active : null;

    public static bool IsTpmLost(AgentState state) =>
        state.Tpm is TpmHealth.Unavailable or TpmHealth.Lockout or TpmHealth.Replaced;

    /// <summary>Whether an order took the version out of use for good.</summary>
    public static bool IsOutOfUse(AgentState state, long version) =>
        state.Run.Levels.Forbids(version)
        || state.Bound?.Secrets.Any(s => s.Version == version && s.State == SecretState.Invalidated) == true;

    public static bool IsSuspended(AgentState state) => state.Run.Levels.Suspended;

    public static long Highest(AgentState state) =>
        Math.Max(state.Run.Highest, state.Bound?.HighestVersionSeen ?? 0);

    /// <summary>What is in memory and not out of use by order; times are the reader's to judge.</summary>
    public static ImmutableArray<UsableEntry> Usable(AgentState state)
    {
        ImmutableArray<UsableEntry>.Builder usable = ImmutableArray.CreateBuilder<UsableEntry>();
        foreach (SecretEntry entry in state.Bound?.Secrets ?? [])
        {
            // A repair may stage the very version that is bound: then it is the staged one that is in memory.
            bool isStagedAnew = state.Run.Pending?.Entry.Version == entry.Version;
            if (entry.State != SecretState.Invalidated && !isStagedAnew && IsOpenable(state, entry.Version))
            {
                usable.Add(new UsableEntry(entry, End(state, entry)));
            }
        }

        if (state.Run.Pending is { } pending && IsOpenable(state, pending.Entry.Version))
        {
            usable.Add(new UsableEntry(pending.Entry, End(state, pending.Entry)));
        }

        foreach (SecretEntry entry in state.Software?.Secrets ?? [])
        {
            if (IsOpenable(state, entry.Version))
            {
                usable.Add(new UsableEntry(entry, End(state, entry), IsSoftware: true));
            }
        }

        if (state.Software?.Pending is { } staged && IsOpenable(state, staged.Entry.Version))
        {
            usable.Add(new UsableEntry(staged.Entry, End(state, staged.Entry), IsSoftware: true));
        }

        return usable.DrainToImmutable();
    }

    /// <summary>
    /// Secrets whose file is still to be opened: a start takes ACTIVE first and serves while it reads the rest. While
    /// the software keys serve for a lost TPM nothing of it is waited for.
    /// </summary>
    public static ImmutableArray<UsableEntry> Awaited(AgentState state) =>
        IsTpmLost(state) && SoftwareActive(state) is not null
            ? []
            : [.. Unopened(state).Select(entry => new UsableEntry(entry, End(state, entry)))];

    /// <summary>Named by the state and not out of use, neither in memory nor known to be unreadable.</summary>
    internal static IEnumerable<SecretEntry> Unopened(AgentState state)
    {
        SecretEntry? pending = state.Run.Pending?.Entry;
        foreach (SecretEntry entry in state.Bound?.Secrets ?? [])
        {
            if (entry.Version != pending?.Version && IsUnopened(state, entry))
            {
                yield return entry;
            }
        }

        if (pending is not null && IsUnopened(state, pending))
        {
            yield return pending;
        }
    }

    private static bool IsUnopened(AgentState state, SecretEntry entry) =>
        !state.Loaded.Contains(entry.Version) && !state.Unreadable.Contains(entry.Version)
        && entry.State != SecretState.Invalidated && IsWanted(state, entry.Version);

    internal static bool IsWanted(AgentState state, long version) =>
        !state.Run.Levels.Forbids(version) && !state.Erased.Contains(version);

    /// <summary>
    /// When a secret opens nothing more. For ACTIVE the local grace period counts too; a GRACE version ends when the
    /// server said it does. A directive's limit shortens both.
    /// </summary>
    public static UtcTime End(AgentState state, SecretEntry entry)
    {
        UtcTime end = entry.GraceUntil;
        if (entry.State == SecretState.Active)
        {
            end = UtcTime.Min(end, entry.ValidUntil + state.Settings.GracePeriod);
        }

        return GraceLimit(state) is { } limit ? UtcTime.Min(end, limit) : end;
    }

    /// <summary>When the next secret is asked for by schedule.</summary>
    public static UtcTime? RotationDue(AgentState state)
    {
        SecretEntry? software = IsTpmLost(state) ? SoftwareActive(state) : null;
        return (software ?? Active(state)) is { } active ? DueAfter(state, active) : null;
    }

    internal static UtcTime DueAfter(AgentState state, SecretEntry active)
    {
        TimeSpan life = active.ValidUntil - active.ValidFrom;
        UtcTime early = active.ValidUntil - TimeSpan.FromTicks(life.Ticks / 5);
        TimeSpan interval = RotationInterval(state);
        UtcTime last = UtcTime.Max(state.Run.LastRotation ?? active.ValidFrom, active.ValidFrom);
        UtcTime regular = last + TimeSpan.FromTicks(interval.Ticks / 1000 * state.Run.RotationFactor);
        return UtcTime.Min(early, regular);
    }

    /// <summary>The server's last word and the time of this boot since; never what a clock suggests.</summary>
    public static UtcTime? ProvenNow(AgentState state, Now now) => state.Run.Anchor switch
    {
        null => null,
        { } anchor when anchor.BootId == now.BootId =>
            anchor.ServerTime + Timekeeping.Elapsed(now, anchor.BootMs, anchor.AwakeMs),
        { } anchor => anchor.ServerTime,
    };

    public static TimeSpan RotationInterval(AgentState state) => Shorter(
        state.Settings.RotationInterval, state.Identity?.Policy.RotationIntervalS);

    public static TimeSpan CheckInInterval(AgentState state) => Shorter(
        state.Settings.CheckInInterval, state.Identity?.Policy.CheckInIntervalS);

    /// <summary>The words of a check-in's <c>tpm</c> member.</summary>
    public static string TpmReport(AgentState state) => state.Tpm switch
    {
        TpmHealth.Ok or TpmHealth.Unknown => Protocol.Messages.TpmReports.Ok,
        TpmHealth.Lockout => Protocol.Messages.TpmReports.Lockout,
        TpmHealth.Replaced => Protocol.Messages.TpmReports.Replaced,
        _ => Protocol.Messages.TpmReports.Unavailable,
    };

    private static UtcTime? GraceLimit(AgentState state)
    {
        UtcTime? limit = state.Run.Levels.GraceLimit;
        if (state.Run.CloneSuspectSince is { } since)
        {
            UtcTime suspect = since + TimeSpan.FromHours(24);
            limit = limit is { } other ? UtcTime.Min(other, suspect) : suspect;
        }

        return limit;
    }

    private static bool IsOpenable(AgentState state, long version) =>
        state.Loaded.Contains(version) && !state.Run.Levels.Forbids(version);

    private static TimeSpan Shorter(TimeSpan local, int? serverSeconds) =>
        serverSeconds is { } seconds && TimeSpan.FromSeconds(seconds) < local
            ? TimeSpan.FromSeconds(seconds)
            : local;
}
