using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace LicenseAgent.Daemon.Adapters.Files;

/// <summary>What an append-only file needs besides.</summary>
internal static partial class Posix
{
    public const int AppendOnly = 0x400;

    /// <summary>One write(2). Fewer bytes than all is a failure: the rest would be another write.</summary>
    public static void WriteOnce(SafeFileHandle file, ReadOnlySpan<byte> content, string path)
    {
        while (true)
        {
            nint written = write(file, content, (nuint)content.Length);
            int error = Marshal.GetLastPInvokeError();
            if (written == content.Length)
                return;

            // The kernel tells why it stopped at the next byte only, and ENOSPC is what stops it on the way.
            if (written >= 0)
                throw Failed("write", path, NoSpace);
            if (error != Interrupted)
                throw Failed("write", path, error);
        }
    }

    /// <returns>Bytes read; 0 at the end of the file.</returns>
    public static int ReadAt(SafeFileHandle file, Span<byte> into, long offset, string path)
    {
        while (true)
        {
            nint count = pread(file, into, (nuint)into.Length, offset);
            int error = Marshal.GetLastPInvokeError();
            if (count >= 0)
                return (int)count;
            if (error != Interrupted)
                throw Failed("pread", path, error);
        }
    }

    public static void Truncate(SafeFileHandle file, long length, string path)
    {
        while (true)
        {
            int result = ftruncate(file, length);
            int error = Marshal.GetLastPInvokeError();
            if (result == 0)
                return;
            if (error != Interrupted)
                throw Failed("ftruncate", path, error);
        }
    }

    /// <returns><see langword="false"/> where something of the new name is there.</returns>
    public static bool Link(OpenDirectory at, string from, string to)
    {
        int result = linkat(at.Handle, from, at.Handle, to, 0);
        int error = Marshal.GetLastPInvokeError();
        if (result == 0)
            return true;
        return error == Exists ? false : throw Failed("link", PathOf(at, from), error);
    }

    private const int NoSpace = 28;

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint pread(SafeFileHandle file, Span<byte> into, nuint count, long offset);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int linkat(SafeFileHandle fromAt, string from, SafeFileHandle toAt, string to, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int ftruncate(SafeFileHandle file, long length);
}
