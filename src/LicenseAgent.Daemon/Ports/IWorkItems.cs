namespace LicenseAgent.Daemon.Ports;

/// <summary>
/// Hands work to somebody else's turn. Never runs it inside <see cref="Queue"/>: the caller may hold a lock. Work given
/// here ends its own failures.
/// </summary>
internal interface IWorkItems
{
    void Queue(Action work);
}
