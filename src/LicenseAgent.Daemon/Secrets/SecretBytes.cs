namespace LicenseAgent.Daemon.Secrets;

/// <summary>
/// 32 secret bytes in <see cref="SecretMemory"/>. No <c>ToString</c>, no equality by content, no conversion: bytes are
/// seen through <see cref="Open"/> alone, for the length of a <c>using</c>.
/// </summary>
internal sealed class SecretBytes : IDisposable
{
    private readonly SecretMemory _memory;
    private readonly Lock _gate = new();
    private readonly ulong _use;
    private int _slot;

    internal SecretBytes(SecretMemory memory, int slot, ulong use)
    {
        _memory = memory;
        _slot = slot;
        _use = use;
    }

    /// <summary>Unmasks into a scratch slot that is wiped when the lease ends.</summary>
    public SecretLease Open()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_slot == 0, this);
            return _memory.Unmask(_slot, _use);
        }
    }

    /// <summary>Wipes the bytes. A lease taken before keeps its own copy until it ends.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_slot != 0)
            {
                _memory.Release(_slot);
                _slot = 0;
            }
        }
    }
}

/// <summary>Unmasked secret bytes for the length of a scope.</summary>
internal readonly struct SecretLease : IDisposable
{
    private readonly SecretMemory _memory;
    private readonly int _slot;

    internal SecretLease(SecretMemory memory, int slot)
    {
        _memory = memory;
        _slot = slot;
    }

    public Span<byte> Bytes => _memory.SlotSpan(_slot);

    public void Dispose() => _memory.Release(_slot);
}
