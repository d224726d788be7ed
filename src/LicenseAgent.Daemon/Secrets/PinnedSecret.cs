using System.Security.Cryptography;

namespace LicenseAgent.Daemon.Secrets;

/// <summary>
/// A short-lived buffer that the collector does not move, for secret bytes that must cross an <c>await</c>. Wiped on
/// dispose.
/// </summary>
internal sealed class PinnedSecret(int length) : IDisposable
{
    private readonly byte[] _bytes = GC.AllocateArray<byte>(length, pinned: true);

    public Memory<byte> Memory => _bytes;

    public void Dispose() => CryptographicOperations.ZeroMemory(_bytes);
}
