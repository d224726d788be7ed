using System.Security.Cryptography.X509Certificates;
using LicenseAgent.Daemon.LocalApi.Peers;
using LicenseAgent.Daemon.Ports;

namespace LicenseAgent.Daemon.Adapters.Kestrel;

/// <summary>The peer of a connection that was let in; requests find it among the connection's features.</summary>
/// <param name="Certificate">Over HTTPS alone; it belongs to the connection.</param>
/// <param name="Slot">Its place at the gate; <see langword="null"/> where connections are not counted.</param>
internal sealed record AdmittedPeer(
    PeerCredentials Credentials, X509Certificate2? Certificate = null, X509Certificate2Collection? Intermediates = null,
    ConnectionSlot? Slot = null)
{
    private static long s_last;

    /// <summary>A number that no other connection of this process has.</summary>
    public long Connection { get; } = Interlocked.Increment(ref s_last);
}
