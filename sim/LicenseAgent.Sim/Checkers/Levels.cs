using LicenseAgent.Sim.History;

namespace LicenseAgent.Sim.Checkers;

/// <summary>What a till has heard of what its server demands: what a check-in was told whose answer then was contact.</summary>
internal sealed class Levels
{
    private Reported? _told;

    /// <summary>The latest; <see langword="null"/> before there was one.</summary>
    public Reported? Heard { get; private set; }

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
