using LicenseAgent.Daemon.Ports;

namespace LicenseAgent.Daemon.LocalApi.Peers;

/// <summary>
/// The place of one connection at a <see cref="ConnectionGate"/>. Its own thread says where it stands; the gate may
/// close it from another. A request is either begun, and then answered, or never begun: its nonce is not used up.
/// </summary>
/// <param name="cut">Ends the connection; called once at most, from any thread, and must not block.</param>
internal sealed class ConnectionSlot(PeerCredentials peer, TimeProvider time, Action cut)
{
    private enum Stage
    {
        Waiting,
        Answering,
        Sending,
        Closed,
    }

    // A client that reads has an answer of a few KiB at once; one that does not may lose its place to others.
    private static readonly TimeSpan SendingMax = TimeSpan.FromSeconds(1);

    private volatile Stage _stage;
    private long _since = time.GetTimestamp();

    public PeerCredentials Peer { get; } = peer;

    /// <summary>
    /// Timestamp of the last answer, or of the connection. What a peer sends in between does not count: bytes are free.
    /// </summary>
    public long Since => Volatile.Read(ref _since);

    /// <summary>A whole request is there. False: the place was given away, nothing of it may be done.</summary>
    public bool TryBegin() =>
        Interlocked.CompareExchange(ref _stage, Stage.Answering, Stage.Waiting) == Stage.Waiting;

    /// <summary>The answer is made and goes out.</summary>
    public void Send() => Move(Stage.Answering, Stage.Sending);

    /// <summary>The request is over, whatever became of it.</summary>
    public void End()
    {
        Move(Stage.Sending, Stage.Waiting);
        Move(Stage.Answering, Stage.Waiting);
    }

    /// <summary>Whether it could be closed without breaking off an answer.</summary>
    public bool IsIdle => IsIdleIn(_stage);

    /// <summary>Gives the place away if it is idle at this moment; then <see cref="Cut"/>, and nothing else.</summary>
    public bool TryClose()
    {
        Stage seen = _stage;
        return IsIdleIn(seen) && Interlocked.CompareExchange(ref _stage, Stage.Closed, seen) == seen;
    }

    public void Cut() => cut();

    private bool IsIdleIn(Stage stage) => stage switch
    {
        Stage.Waiting => true,
        Stage.Sending => time.GetElapsedTime(Since) > SendingMax,
        _ => false,
    };

    private void Move(Stage from, Stage to)
    {
        // The time first: whoever sees the stage must not judge it by the time of the one before.
        if (_stage != from)
            return;
        Volatile.Write(ref _since, time.GetTimestamp());
        Interlocked.CompareExchange(ref _stage, to, from);
    }
}
