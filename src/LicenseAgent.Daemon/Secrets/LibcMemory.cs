using System.ComponentModel;
using System.Runtime.InteropServices;

namespace LicenseAgent.Daemon.Secrets;

/// <summary>
/// mmap, mlock and madvise for <see cref="SecretMemory"/>; constants are those of x86-64 and arm64 Linux.
/// </summary>
internal static unsafe partial class LibcMemory
{
    private const int ProtNone = 0, ProtReadWrite = 1 | 2;
    private const int MapPrivateAnonymous = 0x02 | 0x20;
    private const int MadvDontDump = 16, MadvWipeOnFork = 18;

    public static void* Map(nuint length)
    {
        void* region = mmap(null, length, ProtReadWrite, MapPrivateAnonymous, -1, 0);
        int error = Marshal.GetLastPInvokeError();
        return region != unchecked((void*)-1)
            ? region
            : throw new Win32Exception(error, $"mmap failed with errno {error}.");
    }

    public static void Unmap(void* region, nuint length) => Check(munmap(region, length), "munmap");

    public static void Guard(void* page, nuint length) => Check(mprotect(page, length, ProtNone), "mprotect");

    public static bool TryLock(void* start, nuint length) => mlock(start, length) == 0;

    public static void KeepOutOfDumps(void* start, nuint length) =>
        Check(madvise(start, length, MadvDontDump), "madvise(MADV_DONTDUMP)");

    public static void WipeOnFork(void* start, nuint length) =>
        Check(madvise(start, length, MadvWipeOnFork), "madvise(MADV_WIPEONFORK)");

    private static void Check(int result, string call)
    {
        int error = Marshal.GetLastPInvokeError();
        if (result != 0)
        {
            throw new Win32Exception(error, $"{call} failed with errno {error}.");
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial void* mmap(void* address, nuint length, int protection, int flags, int fd, nint offset);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int munmap(void* address, nuint length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int mprotect(void* address, nuint length, int protection);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int mlock(void* address, nuint length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int madvise(void* address, nuint length, int advice);
}
