using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Core;

/// <summary>
/// The end of a secret. By trusted now it opens nothing more; erased it is when proven now has passed its end, or one
/// clock glitch would destroy what the next contact heals.
/// </summary>
internal static class Retirement
{
    public static bool IsProvenOver(Turn turn, SecretEntry entry) =>
        Views.ProvenNow(turn.State, turn.Now) is { } proven && proven >= entry.GraceUntil;

    public static void EraseProvenPast(Turn turn)
    {
        foreach (SecretEntry entry in turn.State.Bound?.Secrets ?? [])
        {
            bool over = entry.State == SecretState.Grace && IsProvenOver(turn, entry);
            if (over && !turn.State.Erased.Contains(entry.Version))
            {
                turn.State = turn.State with
                {
                    Loaded = turn.State.Loaded.Remove(entry.Version),
                    Erased = turn.State.Erased.Add(entry.Version),
                };
                turn.Audit("secret_retired", $"v{entry.Version}", "ok", durable: true,
                    ("version", entry.Version), ("grace_until", entry.GraceUntil.ToString()));
                turn.Emit(new AgentEffect.EraseSecret(entry.Version));
            }
        }
    }
}
