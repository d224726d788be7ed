using System.Buffers.Binary;
using System.Security.Cryptography;

namespace LicenseAgent.Tpm;

/// <summary>State of the newest secret as an NV slot names it; the numbers are the wire values.</summary>
public enum NvSecretState
{
    None = 0,
    Pending = 1,
    Active = 2,
    Grace = 3,
    Invalidated = 4,
}

/// <summary>
/// One generation of the agent's state as the TPM remembers it: 96 bytes, big-endian, closed by a checksum.
/// Times are Unix milliseconds; <see cref="StateHash"/> is the SHA-256 of the bytes of <c>state.json</c>.
/// </summary>
public sealed record NvSlot(
    NvSecretState State,
    ulong Version,
    ulong Created,
    ulong ValidUntil,
    ulong GraceUntil,
    ulong Generation,
    ReadOnlyMemory<byte> StateHash)
{
    private const byte Format = 1;
    private const int HashSize = 32;
    private const int ChecksumOffset = NvLayout.SlotSize - NvLayout.ChecksumSize;

    private static ReadOnlySpan<byte> Magic => "LSA1"u8;

    /// <summary>The 96 bytes of the slot.</summary>
    public byte[] ToBytes()
    {
        if (StateHash.Length != HashSize)
            throw new InvalidOperationException($"a state hash has {HashSize} bytes, not {StateHash.Length}");
        if (!Enum.IsDefined(State)) throw new InvalidOperationException($"no secret state has the number {(int)State}");

        var bytes = new byte[NvLayout.SlotSize];
        Magic.CopyTo(bytes);
        bytes[4] = Format;
        bytes[5] = (byte)State;
        BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(8), Version);
        BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(16), Created);
        BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(24), ValidUntil);
        BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(32), GraceUntil);
        BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(40), Generation);
        StateHash.Span.CopyTo(bytes.AsSpan(48));
        NvChecksum.Write(bytes);
        return bytes;
    }

    /// <summary>
    /// Reads a slot; false for anything but 96 whole bytes of a known format (a torn write included).
    /// </summary>
    public static bool TryParse(ReadOnlySpan<byte> bytes, out NvSlot? slot)
    {
        slot = null;
        if (bytes.Length != NvLayout.SlotSize || !NvChecksum.Matches(bytes)) return false;
        if (!bytes[..4].SequenceEqual(Magic) || bytes[4] != Format) return false;
        if (bytes[5] > (byte)NvSecretState.Invalidated || bytes[6] != 0 || bytes[7] != 0) return false;

        slot = new NvSlot(
            (NvSecretState)bytes[5],
            BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]),
            BinaryPrimitives.ReadUInt64BigEndian(bytes[16..]),
            BinaryPrimitives.ReadUInt64BigEndian(bytes[24..]),
            BinaryPrimitives.ReadUInt64BigEndian(bytes[32..]),
            BinaryPrimitives.ReadUInt64BigEndian(bytes[40..]),
            bytes[48..ChecksumOffset].ToArray());
        return true;
    }

    // Memory compares by reference; two slots with the same 32 bytes are the same slot.
    public bool Equals(NvSlot? other) =>
        other is not null && State == other.State && Version == other.Version && Created == other.Created
        && ValidUntil == other.ValidUntil && GraceUntil == other.GraceUntil && Generation == other.Generation
        && StateHash.Span.SequenceEqual(other.StateHash.Span);

    public override int GetHashCode() => HashCode.Combine(Version, Generation, State, ValidUntil);
}

/// <summary>The closing checksum of slot and mirror: the first 16 bytes of SHA-256 over everything before it.</summary>
internal static class NvChecksum
{
    public static void Write(Span<byte> bytes) =>
        Compute(bytes[..^NvLayout.ChecksumSize]).CopyTo(bytes[^NvLayout.ChecksumSize..]);

    public static bool Matches(ReadOnlySpan<byte> bytes) =>
        Compute(bytes[..^NvLayout.ChecksumSize]).SequenceEqual(bytes[^NvLayout.ChecksumSize..]);

    private static ReadOnlySpan<byte> Compute(ReadOnlySpan<byte> covered) =>
        SHA256.HashData(covered).AsSpan(0, NvLayout.ChecksumSize);
}
