namespace LicenseAgent.Tpm;

/// <summary>
/// Where the agent keeps its generation in the TPM's non-volatile memory, and how those indices must look.
/// </summary>
public static class NvLayout
{
    public const uint EvenSlotIndex = 0x01818A01;
    public const uint CounterIndex = 0x01818A02;
    public const uint OddSlotIndex = 0x01818A03;
    public const uint MirrorIndex = 0x01818A04;

    public const int SlotSize = 96;
    public const int MirrorSize = 64;
    public const int CounterSize = 8;

    /// <summary>
    /// Truncated SHA-256 at the end of a slot and of the mirror; tells a torn write from a whole one.
    /// </summary>
    public const int ChecksumSize = 16;

    // TPM 2.0 part 2, TPMA_NV. Neither OWNER* nor PP* is set, so that only the agent's auth value reads or writes;
    // NO_DA, because failed or interrupted uses of a protected index lock a till out after three power cuts.
    private const uint AuthWrite = 1u << 2;
    private const uint TypeCounter = 1u << 4;
    private const uint AuthRead = 1u << 18;
    private const uint NoDa = 1u << 25;

    internal const uint Written = 1u << 29;
    internal const uint PlainAttributes = AuthWrite | AuthRead | NoDa;
    internal const uint CounterAttributes = PlainAttributes | TypeCounter;

    internal static readonly NvIndex[] All =
    [
        new(EvenSlotIndex, PlainAttributes, SlotSize),
        new(CounterIndex, CounterAttributes, CounterSize),
        new(OddSlotIndex, PlainAttributes, SlotSize),
        new(MirrorIndex, PlainAttributes, MirrorSize),
    ];

    /// <summary>The slot of a generation: even ones and odd ones alternate, so the slot before stays whole.</summary>
    /// <param name="parity">0 for even generations, 1 for odd ones.</param>
    public static uint SlotIndex(int parity) => parity switch
    {
        0 => EvenSlotIndex,
        1 => OddSlotIndex,
        _ => throw new ArgumentOutOfRangeException(nameof(parity), parity, "a slot's parity is 0 or 1"),
    };
}

/// <summary>What an NV index must be: its handle, its attributes without WRITTEN, its size in bytes.</summary>
internal readonly record struct NvIndex(uint Handle, uint Attributes, ushort Size);
