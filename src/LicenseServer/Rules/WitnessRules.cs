using LicenseAgent.Protocol.Encoding;

namespace LicenseServer.Rules;

/// <summary>A record of an agent's audit chain.</summary>
internal readonly record struct AuditMark(long Seq, Digest32 Head);

/// <summary>What the server knows when an agent shows its audit head.</summary>
/// <param name="Shown">The head that the request shows.</param>
/// <param name="WitnessedByAgent">What the agent's log now holds at the record it believes to be the last witnessed
/// one.</param>
/// <param name="Last">The highest record that was ever witnessed.</param>
/// <param name="AtShown">The head that was witnessed at the shown number, if any.</param>
/// <param name="AtWitnessed">The head that was witnessed at the number of <paramref name="WitnessedByAgent"/>, if
/// any.</param>
/// <param name="InOrder">The request is not older than the one witnessed last: an overtaken one may well show
/// less.</param>
internal readonly record struct WitnessFacts(
    AuditMark Shown, AuditMark? WitnessedByAgent, AuditMark? Last, Digest32? AtShown, Digest32? AtWitnessed,
    bool InOrder);

/// <summary>An audit log only grows: a lower head, or another record where one was witnessed, is a rewritten
/// log.</summary>
internal static class WitnessRules
{
    public static bool IsConflict(WitnessFacts facts)
    {
        if (facts.InOrder && facts.Last is { } last && facts.Shown.Seq < last.Seq) return true;
        if (facts.AtShown is { } known && known != facts.Shown.Head) return true;
        return facts.WitnessedByAgent is { } claimed && facts.AtWitnessed is { } kept && kept != claimed.Head;
    }
}
