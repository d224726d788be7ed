using System.Security.Cryptography;

namespace LicenseAgent.Tpm.Esys;

/// <summary>A structure that an ESYS function allocated; wiped over its whole block before it is given back.</summary>
internal readonly unsafe ref struct EsysOutput(nint block)
{
    public nint Pointer => block;

    /// <summary>The wire bytes in a managed array: for what is not secret.</summary>
    public byte[] ToWire(MuType type)
    {
        using var scratch = new NativeBlock();
        return scratch.Bytes[..type.ToWire(block, scratch.Bytes)].ToArray();
    }

    /// <summary>
    /// Copies the content of a TPM2B to where the caller keeps secrets; returns its length, or -1 for no room.
    /// </summary>
    public int CopyContent(MuType type, Span<byte> destination)
    {
        using var scratch = new NativeBlock();
        var content = scratch.Bytes[2..type.ToWire(block, scratch.Bytes)];
        if (content.Length > destination.Length) return -1;
        content.CopyTo(destination);
        return content.Length;
    }

    public void Dispose()
    {
        if (block == 0) return;
        CryptographicOperations.ZeroMemory(new Span<byte>((void*)block, (int)Libc.MallocUsableSize(block)));
        EsysNative.Free(block);
    }
}
