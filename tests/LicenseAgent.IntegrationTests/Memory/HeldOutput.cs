using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace LicenseAgent.IntegrationTests.Memory;

/// <summary>
/// A named pipe that a process writes its output to. Read by a thread until <see cref="Fill"/>; from then on it is
/// full, and the process waits in write(2) until <see cref="Drain"/>.
/// </summary>
internal sealed partial class HeldOutput : IDisposable
{
    private const int ReadWriteNonBlocking = 0x2 | 0x800;
    private const int TryAgain = 11, BadTry = -1, WriteCall = 1;
    private const byte Filler = (byte)'~';

    private readonly StringBuilder _said = new();
    private readonly Lock _gate = new();
    private readonly SafeFileHandle _pipe;
    private readonly Thread _reader;
    private readonly ManualResetEventSlim _filled = new();

    public HeldOutput(string path)
    {
        Path = path;
        if (mkfifo(path, 0x180) != 0)
            throw new IOException($"mkfifo({path}) failed with errno {Marshal.GetLastPInvokeError()}.");
        _pipe = new SafeFileHandle(open(path, ReadWriteNonBlocking), ownsHandle: true);
        _reader = new Thread(ReadUntilFilled) { IsBackground = true, Name = "output" };
        _reader.Start();
    }

    public string Path { get; }

    public string Said
    {
        get
        {
            lock (_gate)
                return _said.ToString();
        }
    }

    /// <summary>Nothing more goes in until it is drained.</summary>
    public void Fill()
    {
        _filled.Set();
        _reader.Join();
        byte[] filler = [.. Enumerable.Repeat(Filler, 4096)];
        foreach (int size in (int[])[4096, 1])
        {
            while (write(_pipe, filler, (nuint)size) != BadTry)
            {
            }

            if (Marshal.GetLastPInvokeError() != TryAgain)
                throw new IOException("The pipe could not be filled.");
        }
    }

    /// <summary>Whether a thread of the process is inside write(2) to this pipe.</summary>
    public bool HasWriterBlocked(int pid) => Directory.GetDirectories($"/proc/{pid}/task").Any(t => IsWriting(pid, t));

    /// <summary>What was said since it was filled, as far as the process came.</summary>
    public string Drain() => Read().Trim((char)Filler);

    /// <summary>After the process has ended: all there is.</summary>
    public string Rest() => Read();

    public void Dispose()
    {
        _filled.Set();
        _reader.Join();
        _pipe.Dispose();
        _filled.Dispose();
    }

    private bool IsWriting(int pid, string task)
    {
        try
        {
            string[] call = File.ReadAllText(task + "/syscall").Split(' ');
            return call.Length > 2 && call[0] == WriteCall.ToString(CultureInfo.InvariantCulture)
                && File.ResolveLinkTarget($"/proc/{pid}/fd/{Convert.ToInt32(call[1], 16)}", false)?.FullName == Path;
        }
        catch (IOException)
        {
            // The thread has ended meanwhile.
            return false;
        }
    }

    private void ReadUntilFilled()
    {
        do
        {
            string text = Read();
            lock (_gate)
                _said.Append(text);
        }
        while (!_filled.Wait(TimeSpan.FromMilliseconds(5)));
    }

    private string Read()
    {
        StringBuilder text = new();
        byte[] buffer = new byte[64 * 1024];
        for (nint count; (count = read(_pipe, buffer, (nuint)buffer.Length)) > 0;)
            text.Append(Encoding.UTF8.GetString(buffer, 0, (int)count));
        return text.ToString();
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int mkfifo(string path, uint mode);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint read(SafeFileHandle file, byte[] into, nuint count);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint write(SafeFileHandle file, byte[] from, nuint count);
}
