using LicenseAgent.Tpm.Esys;
using LicenseAgent.Tpm.Wire;

namespace LicenseAgent.Tpm;

/// <summary>The NV commands, each authorised with the index's own auth value.</summary>
internal static class NvUse
{
    /// <summary>What an index is, and whether it was ever written.</summary>
    public static (NvIndex Index, bool Written) ReadPublic(TpmLink link, uint nv)
    {
        var rc = EsysNative.NvReadPublic(
            link.Esys, nv, EsysNative.None, EsysNative.None, EsysNative.None, out var area, out var name);
        link.Check(rc, "NV_ReadPublic");
        using var areaOutput = new EsysOutput(area);
        using var nameOutput = new EsysOutput(name);
        var reader = new TpmReader(areaOutput.ToWire(MuType.NvPublic));
        reader.Skip(2);
        var handle = reader.U32();
        reader.Skip(2);
        var attributes = reader.U32();
        _ = reader.Sized();
        var size = reader.U16();
        return (new NvIndex(handle, attributes & ~NvLayout.Written, size), (attributes & NvLayout.Written) != 0);
    }

    /// <summary>The whole content of an index; null where it was never written.</summary>
    public static byte[]? Read(TpmLink link, TpmSession session, uint nv, ushort size)
    {
        var rc = EsysNative.NvRead(
            link.Esys, nv, nv, session.For(Encrypt.Response), EsysNative.None, EsysNative.None, size, 0, out var data);
        if (rc == ResponseCodes.NvUninitialized) return null;
        link.Check(rc, "NV_Read");
        using var output = new EsysOutput(data);
        var content = output.ToWire(MuType.NvBuffer)[2..];
        return content.Length == size ? content : throw TpmFrame.Bad($"NV_Read gave {content.Length} of {size} bytes");
    }

    public static void Write(TpmLink link, TpmSession session, uint nv, ReadOnlySpan<byte> bytes)
    {
        using var data = MuType.NvBuffer.ToNative(Templates.Sized(bytes));
        var rc = EsysNative.NvWrite(
            link.Esys, nv, nv, session.For(Encrypt.Request), EsysNative.None, EsysNative.None, data.Pointer, 0);
        link.Check(rc, "NV_Write");
    }

    public static void Increment(TpmLink link, TpmSession session, uint nv)
    {
        var rc = EsysNative.NvIncrement(
            link.Esys, nv, nv, session.For(Encrypt.None), EsysNative.None, EsysNative.None);
        link.Check(rc, "NV_Increment");
    }
}
