using System.ComponentModel;
using System.Runtime.InteropServices;

namespace LicenseAgent.PosLoad.Load;

/// <summary>
/// Waits until one of a set of descriptors can be read, or until a time, with the precision of the kernel: the
/// platform's own timers turn once a millisecond, which is as long as a whole answer may take here.
/// </summary>
internal sealed partial class Poller
{
    private const short PollIn = 1;
    private const int Eintr = 4, PrSetTimerSlack = 29;
    private const long Nano = 1_000_000_000;

    private readonly PollDescriptor[] _descriptors;

    public Poller(int capacity)
    {
        _descriptors = new PollDescriptor[capacity];

        // Wake-ups of this thread to the nanosecond instead of within 50 µs.
        _ = prctl(PrSetTimerSlack, 1, 0, 0, 0);
    }

    public void Set(int index, int descriptor) => _descriptors[index] = new PollDescriptor(descriptor, PollIn, 0);

    /// <summary>Leaves the place out until it is set again.</summary>
    public void Clear(int index) => _descriptors[index] = new PollDescriptor(-1, 0, 0);

    /// <summary>Whether the last wait saw something there: bytes, the end, or an error.</summary>
    public bool IsReady(int index) => _descriptors[index].Returned != 0;

    /// <param name="nanoseconds">At most this long; 0 looks only.</param>
    public unsafe void Wait(long nanoseconds)
    {
        TimeSpec timeout = new(nanoseconds / Nano, nanoseconds % Nano);
        fixed (PollDescriptor* first = _descriptors)
        {
            int result = ppoll(first, (nuint)_descriptors.Length, &timeout, 0);
            int error = Marshal.GetLastPInvokeError();
            if (result < 0 && error != Eintr)
            {
                throw new Win32Exception(error, $"ppoll failed with errno {error}.");
            }

            if (result < 0)
            {
                for (int i = 0; i < _descriptors.Length; i++)
                {
                    _descriptors[i].Returned = 0;
                }
            }
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static unsafe partial int ppoll(PollDescriptor* descriptors, nuint count, TimeSpec* timeout, nint mask);

    [LibraryImport("libc")]
    private static partial int prctl(int option, nint a, nint b, nint c, nint d);

    [StructLayout(LayoutKind.Sequential)]
    private struct PollDescriptor(int descriptor, short events, short returned)
    {
        public int Descriptor = descriptor;
        public short Events = events;
        public short Returned = returned;
    }

    [StructLayout(LayoutKind.Sequential)]
    private readonly struct TimeSpec(long seconds, long nanoseconds)
    {
        public readonly long Seconds = seconds;
        public readonly long Nanoseconds = nanoseconds;
    }
}
