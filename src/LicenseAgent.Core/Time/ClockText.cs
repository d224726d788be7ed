namespace LicenseAgent.Core;

/// <summary>The words of evidence and verdicts on the wire.</summary>
public static class ClockText
{
    public static string Of(TimeEvidence evidence) => evidence switch
    {
        TimeEvidence.BuildTime => "build_time",
        TimeEvidence.BoundState => "bound_state",
        TimeEvidence.Anchor => "anchor",
        TimeEvidence.HighWater => "high_water",
        TimeEvidence.Mirror => "mirror",
        TimeEvidence.MirrorCharged => "mirror_charged",
        TimeEvidence.WallClock => "wall_clock",
        TimeEvidence.TpmClock => "tpm_clock",
        TimeEvidence.Sleep => "sleep",
        _ => throw new InvariantBroken($"{evidence} has no word."),
    };

    public static string Of(ClockVerdict verdict) => verdict switch
    {
        ClockVerdict.NotAhead => "not_ahead",
        ClockVerdict.Believed => "believed",
        ClockVerdict.Unsteady => "unsteady",
        ClockVerdict.TooFarAhead => "too_far_ahead",
        _ => throw new InvariantBroken($"{verdict} has no word."),
    };

    public static string Why(ClockVerdict verdict) => verdict switch
    {
        ClockVerdict.NotAhead => "It says nothing that trusted now does not know.",
        ClockVerdict.Believed => "It is ahead by less than 48 h and steady, or was waited for long enough: trusted now "
            + "has moved to it.",
        ClockVerdict.Unsteady => "It is ahead by less than 48 h, but has not run steadily for 10 min.",
        ClockVerdict.TooFarAhead => "It is ahead by 48 h or more: contact decides, or 48 h of running without any.",
        _ => throw new InvariantBroken($"{verdict} has no reason."),
    };
}
