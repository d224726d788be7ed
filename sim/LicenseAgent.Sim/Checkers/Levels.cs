using LicenseAgent.Sim.History;

namespace LicenseAgent.Sim.Checkers;

/// <summary>What a till has heard of what its server demands: what a check-in was told whose answer then was contact.</summary>
internal sealed class Levels
{
    // Longer than anybody waits for an answer.
    private const long AnswerUs = 60_000_000;

    private Reported? _told;

    /// <summary>The latest; <see langword="null"/> before there was one.</summary>
    public Reported? Heard { get; private set; }

    /// <summary>
    /// What it has heard forbids this, and so does what it may be hearing at this moment: an answer acts as it comes,
    /// and is judged after that.
    /// </summary>
    public bool Forbid(long atUs, Func<Reported, bool> forbids) =>
        Heard is { } heard && forbids(heard) && (_told is not { } told || told.AtUs < atUs - AnswerUs || forbids(told));

    public void On(Happening h)
    {
        switch (h)
        {
            case Reported r: _told = r; break;
            case Received { Action: not "check-in" }: _told = null; break;
            case AnswerJudged { Kind: "None" } a when _told is not null && a.ContactAfterMs != a.ContactBeforeMs:
                (Heard, _told) = (_told, null);
                break;
        }
    }

    public void Forget() => (_told, Heard) = (null, null);
}
