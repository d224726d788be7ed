using LicenseAgent.Testbed.Servers;

namespace LicenseAgent.Chaos.Sweep;

/// <summary>What happens at a point.</summary>
internal enum Strike
{
    /// <summary>SIGKILL of the daemon.</summary>
    Kill,

    /// <summary>The system call fails with EIO, once.</summary>
    Eio,

    /// <summary>The system call fails with ENOSPC, once.</summary>
    Enospc,
}

/// <summary>A place in a scenario at which the daemon can be struck.</summary>
/// <param name="Ordinal">Which of its kind, from 1.</param>
/// <param name="Label">What the recording run saw there, for people.</param>
internal abstract record CrashPoint(int Ordinal, string Label)
{
    /// <summary>A system call about a durable file: the k-th of its kind on one thread of the daemon.</summary>
    /// <param name="Thread"><c>storage</c> or <c>audit</c>; <c>*</c>: any, and then about the log alone.</param>
    internal sealed record Call(string Thread, string Name, int Ordinal, string Label) : CrashPoint(Ordinal, Label);

    /// <summary>The k-th command on the TPM bus, before the TPM sees it or after it has executed it.</summary>
    internal sealed record Command(bool Executed, int Ordinal, string Label) : CrashPoint(Ordinal, Label);

    /// <summary>The k-th request of one action, at one of three moments; the label is the action.</summary>
    internal sealed record Message(ServerMoment Moment, int Ordinal, string Label) : CrashPoint(Ordinal, Label);

    public string Layer => this switch
    {
        Call c => c.Thread == "*" ? "log" : c.Thread,
        Command c => c.Executed ? "TPM after" : "TPM before",
        Message m => $"message {m.Moment.ToString().ToLowerInvariant()}",
        _ => throw new InvalidOperationException("A kind of point without a name."),
    };
}

/// <summary>A point, what is done there, and what came of it.</summary>
/// <param name="Reached">The fault came true; a point that was not reached proves nothing.</param>
/// <param name="Left">What the strike left on disk, in words.</param>
/// <param name="Broken">Invariants that did not hold, or the error; empty when all held.</param>
/// <param name="Laps">Where the time went.</param>
internal sealed record PointOutcome(
    string Scenario, CrashPoint Point, Strike Strike, bool Reached, string Left, string Broken, Laps Laps)
{
    public TimeSpan Took => Laps.Whole;

    public bool Held => Broken.Length == 0;
}
