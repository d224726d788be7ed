namespace LicenseAgent.Daemon.Ports;

/// <summary>SO_PEERCRED: who was at the other end when it connected. The PID is for the log only.</summary>
internal readonly record struct PeerCredentials(uint Uid, uint Gid, int Pid);
