using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.PosLoad.Fleet;

/// <summary>
/// Two times: the machine's, which the server has, and the fleet's, which runs so many times faster. What goes to the
/// server and what comes from it is translated between the two, so that every interval and back-off of the agents is
/// divided by the same factor. The fleet's time stands until <see cref="Start"/>.
/// </summary>
internal sealed class FleetTime(int factor, TimeProvider machine)
{
    private readonly UtcTime _epoch = UtcTime.From(machine.GetUtcNow());
    private long _startedAt;
    private UtcTime _start;

    public int Factor => factor;

    public bool IsRunning { get; private set; }

    /// <summary>Milliseconds of the fleet's time since <see cref="Start"/>.</summary>
    public long ElapsedMs => IsRunning ? (long)(machine.GetElapsedTime(_startedAt).TotalMilliseconds * factor) : 0;

    public UtcTime MachineNow => UtcTime.From(machine.GetUtcNow());

    /// <summary>Timestamp of the start by the machine's clock.</summary>
    public long StartedAt => _startedAt;

    public void Start()
    {
        _startedAt = machine.GetTimestamp();
        _start = MachineNow;
        IsRunning = true;
    }

    /// <summary>The fleet's time at a reading of an agent's boot clock.</summary>
    public UtcTime At(long bootMs) => _epoch + TimeSpan.FromMilliseconds(bootMs);

    /// <summary>What an agent whose clock showed <paramref name="startBootMs"/> at the start calls a server time.</summary>
    public UtcTime OfServer(UtcTime server, long startBootMs) =>
        At(startBootMs) + (IsRunning ? Longer(server - _start) : TimeSpan.Zero);

    /// <summary>The machine's word for what an agent takes for now.</summary>
    /// <param name="trusted">By the agent.</param>
    /// <param name="bootMs">Its boot clock at that moment.</param>
    public UtcTime ToServer(UtcTime trusted, long bootMs)
    {
        TimeSpan ahead = trusted - At(bootMs);
        return MachineNow + (ahead / factor);
    }

    /// <summary>An answer in the fleet's time.</summary>
    public ServerAnswer Translate(ServerAnswer answer, long startBootMs)
    {
        UtcTime now = OfServer(answer.ServerTime, startBootMs);
        UtcTime Moved(UtcTime time) => now + Longer(time - answer.ServerTime);
        return answer switch
        {
            RotateSecretAnswer a => a with
            {
                ServerTime = now,
                ValidFrom = Moved(a.ValidFrom),
                ValidUntil = Moved(a.ValidUntil),
                GraceUntil = Moved(a.GraceUntil),
                ConfirmBy = Moved(a.ConfirmBy),
            },
            ConfirmRotationAnswer a => a with
            {
                ServerTime = now,
                ValidFrom = Moved(a.ValidFrom),
                ValidUntil = Moved(a.ValidUntil),
                GraceUntil = Moved(a.GraceUntil),
                Previous = [.. a.Previous.Select(p => p with { GraceUntil = Moved(p.GraceUntil) })],
            },
            CheckInAnswer a => a with { ServerTime = now, NextCheckInS = a.NextCheckInS * factor },
            RefusalAnswer a => a with { ServerTime = now, RetryAfterS = a.RetryAfterS * factor },
            _ => answer with { ServerTime = now },
        };
    }

    public TimeSpan Longer(TimeSpan span) => span * factor;
}
