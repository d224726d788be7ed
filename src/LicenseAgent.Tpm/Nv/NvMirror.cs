using System.Buffers.Binary;

namespace LicenseAgent.Tpm;

/// <summary>
/// What the TPM remembers between two generations: 64 bytes, big-endian, closed by a checksum.
/// <see cref="HighWater"/> is trusted now in Unix milliseconds; <see cref="AuditHead"/> the audit chain's hash
/// (32 bytes) at <see cref="AuditSeq"/>.
/// </summary>
public sealed record NvMirror(ulong HighWater, ulong AuditSeq, ReadOnlyMemory<byte> AuditHead)
{
    private const int HeadSize = 32;
    private const int ChecksumOffset = NvLayout.MirrorSize - NvLayout.ChecksumSize;

    /// <summary>The 64 bytes of the mirror.</summary>
    public byte[] ToBytes()
    {
        if (AuditHead.Length != HeadSize)
            throw new InvalidOperationException($"an audit head has {HeadSize} bytes, not {AuditHead.Length}");

        var bytes = new byte[NvLayout.MirrorSize];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, HighWater);
        BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(8), AuditSeq);
        AuditHead.Span.CopyTo(bytes.AsSpan(16));
        NvChecksum.Write(bytes);
        return bytes;
    }

    /// <summary>Reads a mirror; false for anything but 64 whole bytes (a torn write included).</summary>
    public static bool TryParse(ReadOnlySpan<byte> bytes, out NvMirror? mirror)
    {
        mirror = null;
        if (bytes.Length != NvLayout.MirrorSize || !NvChecksum.Matches(bytes)) return false;
        mirror = new NvMirror(
            BinaryPrimitives.ReadUInt64BigEndian(bytes),
            BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]),
            bytes[16..ChecksumOffset].ToArray());
        return true;
    }

    // Memory compares by reference; two mirrors with the same 32 bytes are the same mirror.
    public bool Equals(NvMirror? other) =>
        other is not null && HighWater == other.HighWater && AuditSeq == other.AuditSeq
        && AuditHead.Span.SequenceEqual(other.AuditHead.Span);

    public override int GetHashCode() => HashCode.Combine(HighWater, AuditSeq);
}
