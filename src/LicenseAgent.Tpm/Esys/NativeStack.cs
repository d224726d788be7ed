using System.Runtime.CompilerServices;
using System.Security.Cryptography;

namespace LicenseAgent.Tpm.Esys;

/// <summary>Overwrites the part of this thread's stack that the C functions just used.</summary>
internal static class NativeStack
{
    // tpm2-tss decrypts a response parameter in a buffer on its stack (TPM2B sizes are below 1 KiB, frames below 16
    // KiB).
    private const int Depth = 64 * 1024;

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Wipe()
    {
        Span<byte> dead = stackalloc byte[Depth];
        CryptographicOperations.ZeroMemory(dead);
    }
}
