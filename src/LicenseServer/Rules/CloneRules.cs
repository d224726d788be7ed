using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseServer.Rules;

/// <summary>What one signing key last told of its machine's clocks.</summary>
/// <param name="Boots">Boot ids seen under the key, oldest first, the current one last; bounded.</param>
internal sealed record ClockMark(UtcTime Timestamp, ClockEvidence Clock, IReadOnlyList<string> Boots);

/// <summary>What a request gives to judge by.</summary>
/// <param name="Own">The mark of the key that signed it.</param>
/// <param name="OtherKey">Latest request signed by the agent's other kind of key (TPM or software), if any.</param>
/// <param name="SoftwareAllowed">An operator has allowed software keys for now: the TPM is known to be lost.</param>
internal readonly record struct CloneFacts(
    UtcTime Timestamp, ClockEvidence Clock, ClockMark? Own, UtcTime? OtherKey, bool SoftwareAllowed);

/// <summary>
/// Two machines with one identity. A machine's counters never go down and its boots never return, so one key that
/// shows such a thing signs on two machines, or on one whose TPM was put back. Versions and audit heads are no evidence
/// (a state put back shows them), nor is the TPM's clock (it falls back at every power cut).
/// </summary>
internal static class CloneRules
{
    /// <summary>Boots remembered for each key: two months of a till that is switched off every night.</summary>
    public const int BootsMax = 64;

    private const long BoottimeSlackMs = 60_000;
    private static readonly TimeSpan BothKeysWithin = TimeSpan.FromHours(24);

    /// <summary>The rule that the request breaks; null = none.</summary>
    public static string? Evidence(CloneFacts facts)
    {
        if (facts is { OtherKey: { } other, SoftwareAllowed: false }
            && (facts.Timestamp - other).Duration() < BothKeysWithin)
        {
            return "both_keys";
        }

        // An overtaken request may well show less.
        if (facts.Own is not { } before || facts.Timestamp < before.Timestamp) return null;
        var (now, then) = (facts.Clock, before.Clock);
        if (now.Generation < then.Generation) return "generation_back";
        if (now.ResetCount < then.ResetCount) return "reset_count_back";
        if (now.BootId != then.BootId) return before.Boots.Contains(now.BootId) ? "boot_returned" : null;
        return now.BoottimeMs < then.BoottimeMs - BoottimeSlackMs ? "boottime_back" : null;
    }

    /// <summary>The mark after the request; an overtaken one changes nothing.</summary>
    public static ClockMark After(ClockMark? before, UtcTime timestamp, ClockEvidence clock)
    {
        if (before is null) return new ClockMark(timestamp, clock, [clock.BootId]);
        if (timestamp <= before.Timestamp) return before;
        var boots = before.Boots.Count > 0 && before.Boots[^1] == clock.BootId
            ? before.Boots
            : [.. before.Boots.Append(clock.BootId).TakeLast(BootsMax)];
        return new ClockMark(timestamp, clock, boots);
    }
}
