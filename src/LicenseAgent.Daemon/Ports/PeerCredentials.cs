namespace LicenseAgent.Daemon.Ports;

/// <summary>SO_PEERCRED: who was at the other end when it connected. The PID is for the log only.</summary>
internal readonly record struct PeerCredentials(uint Uid, uint Gid, int Pid)
{
    /// <summary>
    /// Nobody: who comes over HTTPS has a certificate instead. 2^32 - 1 is the kernel's "no such id".
    /// </summary>
    public static PeerCredentials None { get; } = new(uint.MaxValue, uint.MaxValue, 0);
}
