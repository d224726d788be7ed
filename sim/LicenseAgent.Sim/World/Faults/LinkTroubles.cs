namespace LicenseAgent.Sim.World.Faults;

/// <summary>How an answer is tampered with, or replaced, on its way.</summary>
internal enum Forgery
{
    None,

    /// <summary>A captive portal, a proxy, a stranger: bytes nobody signed, of any status.</summary>
    Unsigned,

    /// <summary>An answer this agent got before.</summary>
    Replayed,

    /// <summary>An answer to another agent.</summary>
    CrossAgent,

    /// <summary>A genuine answer with one bit flipped.</summary>
    Flipped,

    /// <summary>The beginning of a genuine answer, as a complete one.</summary>
    Truncated,

    /// <summary>A genuine answer and so much behind it that it is as large as an answer may be.</summary>
    Huge,

    /// <summary>The server itself lies, and signs it: a version below those there were.</summary>
    Downgrade,

    /// <summary>The server itself lies, and signs it: more revocations than an answer may hold.</summary>
    RevokeStorm,
}

/// <summary>Why no connection comes about.</summary>
internal enum NoWay
{
    None,

    /// <summary>The server's port is closed.</summary>
    Refused,

    /// <summary>The name has no address.</summary>
    NoName,

    /// <summary>The name leads to another machine, whose key is none of the pinned ones.</summary>
    Stranger,
}

/// <summary>What ails the way between one till and the server, of all the faults that are open.</summary>
internal sealed class LinkTroubles
{
    public const long NormalLatencyUs = 40_000;

    private long _outFreeUs;
    private long _inFreeUs;

    public bool CutOut { get => field || CutOff.Count > 0; set; }

    public bool CutIn { get => field || CutOff.Count > 0; set; }

    /// <summary>The faults that have cut it at a moment of their own.</summary>
    public HashSet<int> CutOff { get; } = [];

    public NoWay NoWay { get; set; }

    public double LossOut { get; set; }

    public double LossIn { get; set; }

    public double Duplicates { get; set; }

    public double Truncates { get; set; }

    /// <summary>The connection breaks off before the server has the request.</summary>
    public double ResetsOut { get; set; }

    /// <summary>The connection breaks off within the answer.</summary>
    public double ResetsIn { get; set; }

    /// <summary>An answer is lost.</summary>
    public Countdown LoseAnswer { get; } = new();

    /// <summary>Mean of one way.</summary>
    public long LatencyUs { get; set; } = NormalLatencyUs;

    /// <summary>
    /// What one message occupies its direction for; the next waits behind it. By the message and not by its bytes: the
    /// length of a certificate request differs from run to run.
    /// </summary>
    public long MessageUs { get; set; }

    public Forgery Forges { get; set; }

    /// <summary>The status of what nobody signed.</summary>
    public int ForgedStatus { get; set; } = 200;

    /// <summary>Everything but what waits for its time, or came at it.</summary>
    public void Ease()
    {
        (CutOut, CutIn, NoWay, LossOut, LossIn) = (false, false, NoWay.None, 0, 0);
        (Duplicates, Truncates, ResetsOut, ResetsIn, MessageUs) = (0, 0, 0, 0, 0);
        (LatencyUs, Forges, ForgedStatus) = (NormalLatencyUs, Forgery.None, 200);
    }

    /// <summary>How long a message that is sent now waits for those before it, and takes itself.</summary>
    public long Clogged(long nowUs, bool isOut)
    {
        if (MessageUs == 0)
        {
            return 0;
        }

        ref long free = ref isOut ? ref _outFreeUs : ref _inFreeUs;
        free = Math.Max(free, nowUs) + MessageUs;
        return free - nowUs;
    }
}
