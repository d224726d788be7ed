using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace LicenseAgent.Tpm.Esys;

/// <summary>
/// Native memory for one TSS structure. The largest (TPM2B_PRIVATE, TPMS_CAPABILITY_DATA) are below 2 KiB, so that one
/// generous size serves all and no C layout has to be known. Wiped before it is freed.
/// </summary>
internal sealed unsafe class NativeBlock : IDisposable
{
    public const int Size = 8192;

    private byte* _start = (byte*)NativeMemory.AllocZeroed(Size);

    public nint Pointer => (nint)_start;

    public Span<byte> Bytes => new(_start, Size);

    public void Dispose()
    {
        if (_start is null) return;
        CryptographicOperations.ZeroMemory(Bytes);
        NativeMemory.Free(_start);
        _start = null;
    }
}
