using System.Buffers.Binary;

namespace LicenseAgent.Tpm.Wire;

/// <summary>Builds TPM wire bytes (big-endian, TPM2B with a u16 length) for libtss2-mu to unmarshal.</summary>
internal sealed class TpmWriter
{
    private readonly byte[] _buffer = new byte[TpmFrame.SizeMax];
    private int _length;

    public TpmWriter U8(byte value) => Raw([value]);

    public TpmWriter U16(ushort value)
    {
        BinaryPrimitives.WriteUInt16BigEndian(Grow(2), value);
        return this;
    }

    public TpmWriter U32(uint value)
    {
        BinaryPrimitives.WriteUInt32BigEndian(Grow(4), value);
        return this;
    }

    public TpmWriter Raw(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Grow(bytes.Length));
        return this;
    }

    /// <summary>A TPM2B: length, then the bytes.</summary>
    public TpmWriter Sized(ReadOnlySpan<byte> bytes) => U16((ushort)bytes.Length).Raw(bytes);

    public byte[] ToArray() => _buffer[.._length];

    private Span<byte> Grow(int count)
    {
        var start = _length;
        _length += count;
        return _buffer.AsSpan(start, count);
    }
}
