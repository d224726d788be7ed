namespace LicenseAgent.Core;

/// <summary>
/// The chain of the server's keysets. A fetch is no contact: it proves nothing about the time, and what it brings
/// counts because each keyset is signed by a key of the one before.
/// </summary>
internal static class Keysets
{
    public const string UnknownKey = "unknown_key";

    /// <summary>Whoever answers with keys that nobody knows makes the agent ask no more often than this.</summary>
    private const long FetchEveryMs = 300_000;

    /// <summary>An answer came that is signed by a key outside of the trusted keyset.</summary>
    public static void OnUnknownKey(Turn turn) => turn.State = turn.State with { KeysetWanted = true };

    /// <summary>The server said which keyset is current.</summary>
    public static void OnVersionTold(Turn turn, long version)
    {
        if (version > (turn.State.Keyset?.Version ?? 0))
        {
            turn.State = turn.State with { KeysetWanted = true };
        }
    }

    public static bool TryFetch(Turn turn)
    {
        AgentState state = turn.State;
        if (!state.KeysetWanted || state.Identity is null || state.Keyset is not { } trusted
            || turn.Now.BootMs < state.KeysetGateBootMs)
        {
            return false;
        }

        turn.State = state with { KeysetGateBootMs = turn.Now.BootMs + FetchEveryMs };
        turn.Begin(new Activity.FetchingKeysets(), new AgentEffect.FetchKeysets(trusted.Version));
        return true;
    }

    /// <summary>The bound state names the keyset: taking over a new one is one generation.</summary>
    public static void OnFetched(Turn turn, AgentEvent.KeysetsFetched e)
    {
        Expect.During<Activity.FetchingKeysets>(turn);
        FileReference? before = turn.State.Keyset;
        InvariantBroken.Unless(e.Newest.Version >= (before?.Version ?? 0), "A keyset's version went down.");
        turn.State = turn.State with { KeysetWanted = false };
        turn.TroubleOver("keyset_unreachable");
        if (e.Newest == before)
        {
            return;
        }

        turn.Audit("keyset_accepted", $"keyset-{e.Newest.Version}", "ok", durable: true,
            ("version", e.Newest.Version), ("sha256", e.Newest.Sha256.ToString()), ("from", before?.Version ?? 0));

        // What was signed by a key of the new keyset is asked for again at once.
        turn.State = turn.State with
        {
            Keyset = e.Newest,
            KeysetUpdateBy = e.UpdateBy,
            RotationGate = default,
            CheckInGate = default,
        };
    }

    public static void OnNotFetched(Turn turn, AgentEvent.KeysetsNotFetched e)
    {
        Expect.During<Activity.FetchingKeysets>(turn);
        turn.Trouble("keyset_unreachable", $"The server's new keyset could not be taken over ({e.Reason}). It is tried "
            + "again every 5 minutes; if this goes on, compare keys list on the server, or enrol the till again.");
    }
}
