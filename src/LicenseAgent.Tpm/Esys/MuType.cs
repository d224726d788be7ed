using System.Runtime.InteropServices;

namespace LicenseAgent.Tpm.Esys;

/// <summary>
/// The pair of libtss2-mu functions of one TPM type. All have the same two signatures, so they are looked up by name
/// instead of being declared thirty times.
/// </summary>
internal sealed unsafe class MuType
{
    public static readonly MuType Digest = new("TPM2B_DIGEST");
    public static readonly MuType Data = new("TPM2B_DATA");
    public static readonly MuType Name = new("TPM2B_NAME");
    public static readonly MuType Public = new("TPM2B_PUBLIC");
    public static readonly MuType NvPublic = new("TPM2B_NV_PUBLIC");
    public static readonly MuType NvBuffer = new("TPM2B_MAX_NV_BUFFER");
    public static readonly MuType PublicKeyRsa = new("TPM2B_PUBLIC_KEY_RSA");
    public static readonly MuType SensitiveCreate = new("TPM2B_SENSITIVE_CREATE");
    public static readonly MuType PcrSelection = new("TPML_PCR_SELECTION");
    public static readonly MuType SymDef = new("TPMT_SYM_DEF");
    public static readonly MuType SigScheme = new("TPMT_SIG_SCHEME");
    public static readonly MuType RsaDecrypt = new("TPMT_RSA_DECRYPT");
    public static readonly MuType HashCheck = new("TPMT_TK_HASHCHECK");
    public static readonly MuType Signature = new("TPMT_SIGNATURE");
    public static readonly MuType TimeInfo = new("TPMS_TIME_INFO");
    public static readonly MuType CapabilityData = new("TPMS_CAPABILITY_DATA");

    private readonly string _name;
    private readonly delegate* unmanaged<byte*, nuint, nuint*, nint, uint> _unmarshal;
    private readonly delegate* unmanaged<nint, byte*, nuint, nuint*, uint> _marshal;

    private MuType(string name)
    {
        _name = name;
        _unmarshal = (delegate* unmanaged<byte*, nuint, nuint*, nint, uint>)
            NativeLibrary.GetExport(TssLibrary.Mu, $"Tss2_MU_{name}_Unmarshal");
        _marshal = (delegate* unmanaged<nint, byte*, nuint, nuint*, uint>)
            NativeLibrary.GetExport(TssLibrary.Mu, $"Tss2_MU_{name}_Marshal");
    }

    /// <summary>The structure that these wire bytes mean. The caller owns the block.</summary>
    public NativeBlock ToNative(ReadOnlySpan<byte> wire)
    {
        var block = new NativeBlock();
        nuint offset = 0;
        uint rc;
        fixed (byte* start = wire)
            rc = _unmarshal(start, (nuint)wire.Length, &offset, block.Pointer);
        if (rc == 0 && offset == (nuint)wire.Length) return block;

        block.Dispose();
        throw new InvalidOperationException(
            $"wire bytes for {_name} do not unmarshal (0x{rc:x}, {offset}/{wire.Length})");
    }

    /// <summary>
    /// Writes the wire bytes of a structure into <paramref name="destination"/> and returns their number.
    /// </summary>
    public int ToWire(nint structure, Span<byte> destination)
    {
        nuint offset = 0;
        uint rc;
        fixed (byte* start = destination)
            rc = _marshal(structure, start, (nuint)destination.Length, &offset);
        return rc == 0 ? (int)offset : throw Wire.TpmFrame.Bad($"{_name} does not marshal (0x{rc:x})");
    }
}
