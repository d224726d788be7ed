using System.Buffers.Binary;

namespace LicenseAgent.Tpm.Wire;

/// <summary>The 10-byte header that every TPM command and response begins with: tag u16, size u32, code u32.</summary>
internal static class TpmFrame
{
    public const int HeaderSize = 10;

    /// <summary>TPM2_MAX_COMMAND_SIZE of tpm2-tss and of the kernel driver; a longer answer is no answer.</summary>
    public const int SizeMax = 4096;

    public const ushort NoSessions = 0x8001;
    public const ushort Sessions = 0x8002;

    public static uint Code(ReadOnlySpan<byte> frame) => BinaryPrimitives.ReadUInt32BigEndian(frame[6..]);

    /// <summary>The size that the header of a response states; throws where it cannot be one.</summary>
    public static int ResponseSize(ReadOnlySpan<byte> header)
    {
        var tag = BinaryPrimitives.ReadUInt16BigEndian(header);
        if (tag is not (NoSessions or Sessions)) throw Bad($"the answer's tag is 0x{tag:x4}");
        var size = BinaryPrimitives.ReadUInt32BigEndian(header[2..]);
        if (size is < HeaderSize or > SizeMax) throw Bad($"the answer states a size of {size} bytes");
        return (int)size;
    }

    public static TpmException Bad(string fact) => new(
        TpmFailure.BadResponse,
        $"The TPM's answer is malformed: {fact}. If this repeats, check the TPM's firmware and what sits between it "
        + "and the agent.");

    /// <summary>A command without sessions, for the few that are sent before the TSS library has a context.</summary>
    public static byte[] Command(uint code, params ReadOnlySpan<uint> words)
    {
        var writer = new TpmWriter().U16(NoSessions).U32((uint)(HeaderSize + words.Length * 4)).U32(code);
        foreach (var word in words) writer.U32(word);
        return writer.ToArray();
    }
}
