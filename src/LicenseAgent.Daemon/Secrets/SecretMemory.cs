using System.Runtime.InteropServices;
using System.Security.Cryptography;
using LicenseAgent.Core;
using LicenseAgent.Daemon.Ports;

namespace LicenseAgent.Daemon.Secrets;

/// <summary>
/// Owns every secret byte of one agent: a locked native region between two guard pages, kept out of core dumps and of
/// forked children. Slots hold 32 bytes masked under a key of this process; <see cref="SecretBytes.Open"/> unmasks into
/// a scratch slot of the same region for the length of a scope. The garbage collector never sees any of it.
/// One lock guards the free list; the bytes of a slot belong to its holder.
/// </summary>
internal sealed unsafe class SecretMemory : IDisposable
{
    public const int SecretLength = 32;

    // 16 GRACE + ACTIVE + PENDING with a token key and a raw secret each is 36; the rest are scratch slots of requests
    // being served at the same time. Running out is refused as an environment failure, never waited for.
    private const int SlotCount = 512;
    private const int MaskKeySlot = 0;

    private readonly Lock _gate = new();
    private readonly Stack<int> _free = new(SlotCount);
    private readonly byte* _region;
    private readonly nuint _regionLength;
    private readonly byte* _slots;
    private readonly nuint _length;
    private ulong _uses;
    private bool _disposed;

    public SecretMemory(IRandomness randomness)
    {
        nuint page = (nuint)Environment.SystemPageSize;
        nuint data = (SlotCount * SecretLength + page - 1) / page * page;
        _length = data;
        _regionLength = data + 2 * page;
        _region = (byte*)LibcMemory.Map(_regionLength);
        _slots = _region + page;
        LibcMemory.Guard(_region, page);
        LibcMemory.Guard(_region + page + data, page);
        // Whether it could be locked (RLIMIT_MEMLOCK) is seen by the self-test, in what the kernel says of the pages.
        _ = LibcMemory.TryLock(_slots, data);
        LibcMemory.KeepOutOfDumps(_slots, data);
        LibcMemory.WipeOnFork(_slots, data);
        for (int slot = SlotCount - 1; slot > MaskKeySlot; slot--)
        {
            _free.Push(slot);
        }

        randomness.Fill(SlotSpan(MaskKeySlot));
    }

    /// <summary>First of the pages that hold secrets, without the guard pages around them.</summary>
    public nuint Start => (nuint)_slots;

    public nuint Length => _length;

    /// <summary>Takes ownership of a copy of <paramref name="secret"/>; the caller wipes its own.</summary>
    public SecretBytes Keep(ReadOnlySpan<byte> secret)
    {
        InvariantBroken.Unless(secret.Length == SecretLength, "A secret has 32 bytes.");
        int slot = TakeSlot();
        ulong use = Interlocked.Increment(ref _uses);
        secret.CopyTo(SlotSpan(slot));
        ApplyMask(slot, use);
        return new SecretBytes(this, slot, use);
    }

    /// <summary>A scratch slot for bytes that are secret while something is computed with them.</summary>
    public SecretLease Scratch()
    {
        int slot = TakeSlot();
        return new SecretLease(this, slot);
    }

    internal SecretLease Unmask(int slot, ulong use)
    {
        int scratch = TakeSlot();
        SlotSpan(slot).CopyTo(SlotSpan(scratch));
        ApplyMask(scratch, use);
        return new SecretLease(this, scratch);
    }

    internal Span<byte> SlotSpan(int slot) => new(_slots + slot * SecretLength, SecretLength);

    internal void Release(int slot)
    {
        lock (_gate)
        {
            if (_disposed)
            {
                return;
            }

            CryptographicOperations.ZeroMemory(SlotSpan(slot));
            _free.Push(slot);
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
            CryptographicOperations.ZeroMemory(new Span<byte>(_slots, SlotCount * SecretLength));
            LibcMemory.Unmap(_region, _regionLength);
        }
    }

    private int TakeSlot()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return _free.TryPop(out int slot)
                ? slot
                : throw new StorageException("secret_memory_full", $"All {SlotCount} secret slots are in use.");
        }
    }

    // A mask belongs to one use of one slot: two images of the memory taken at different times share none.
    private void ApplyMask(int target, ulong use)
    {
        Span<byte> mask = stackalloc byte[SecretLength];
        Span<byte> id = stackalloc byte[sizeof(ulong)];
        MemoryMarshal.Write(id, use);
        HMACSHA256.HashData(SlotSpan(MaskKeySlot), id, mask);
        Span<byte> bytes = SlotSpan(target);
        for (int i = 0; i < bytes.Length; i++)
        {
            bytes[i] ^= mask[i];
        }

        CryptographicOperations.ZeroMemory(mask);
    }
}
