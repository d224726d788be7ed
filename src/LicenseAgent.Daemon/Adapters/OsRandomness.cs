using System.Security.Cryptography;
using LicenseAgent.Daemon.Ports;

namespace LicenseAgent.Daemon.Adapters;

/// <summary>The operating system's random number generator.</summary>
internal sealed class OsRandomness : IRandomness
{
    public void Fill(Span<byte> destination) => RandomNumberGenerator.Fill(destination);
}
