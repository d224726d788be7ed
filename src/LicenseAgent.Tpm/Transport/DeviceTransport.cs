using System.Runtime.InteropServices;
using LicenseAgent.Tpm.Esys;
using LicenseAgent.Tpm.Wire;

namespace LicenseAgent.Tpm.Transport;

/// <summary>
/// The kernel's character device. Opened non-blocking: since Linux 4.20 the command then runs in the kernel's own
/// thread and poll(2) tells when the answer is there, so that a hung TPM does not hang the agent.
/// </summary>
internal sealed class DeviceTransport : TpmTransport
{
    private readonly string _path;
    private int _fd;

    private DeviceTransport(int fd, string path)
    {
        _fd = fd;
        _path = path;
    }

    // /dev/tpm0 has no resource manager: what a killed client left has to be flushed by hand there.
    public override bool CleansUpAfterClients => _path.Contains("tpmrm", StringComparison.Ordinal);

    public static DeviceTransport Open(TpmAddress address)
    {
        // Should the path be a terminal, it must not become the daemon's.
        const int flags = Libc.ReadWrite | Libc.NonBlocking | Libc.CloseOnExec | Libc.NoControllingTerminal;
        var fd = Libc.Open(address.Path, flags);
        var errno = Marshal.GetLastPInvokeError();
        if (fd >= 0) return new DeviceTransport(fd, address.Path);
        throw Failed(address.Path, errno);
    }

    public override bool LooksAlive() => true;

    public override void Dispose()
    {
        if (_fd < 0) return;
        // The return value of close on a character device says nothing that could be acted upon.
        _ = Libc.Close(_fd);
        _fd = -1;
    }

    protected override int ExchangeOnce(ReadOnlySpan<byte> command, byte[] response, Deadline deadline)
    {
        Write(command, deadline);
        var have = 0;
        var size = TpmFrame.HeaderSize;
        while (have < size)
        {
            WaitFor(Libc.PollIn, "an answer of " + _path, deadline);
            var count = Libc.Read(_fd, ref response[have], (nuint)(response.Length - have));
            var errno = Marshal.GetLastPInvokeError();
            if (count < 0 && errno is Libc.Again or Libc.Interrupted) continue;
            if (count < 0) throw Failed(_path, errno);
            if (count == 0) throw TpmFrame.Bad($"it ends after {have} of {size} bytes");
            have += (int)count;
            if (have >= TpmFrame.HeaderSize) size = TpmFrame.ResponseSize(response);
        }

        return have == size ? size : throw TpmFrame.Bad($"{have} bytes came and the header states {size}");
    }

    // The driver takes a command whole or not at all; a remainder would be taken for another command.
    private void Write(ReadOnlySpan<byte> command, Deadline deadline)
    {
        while (true)
        {
            var written = Libc.Write(_fd, in MemoryMarshal.GetReference(command), (nuint)command.Length);
            var errno = Marshal.GetLastPInvokeError();
            if (written == command.Length) return;
            if (written >= 0) throw TpmFrame.Bad($"{_path} took {written} of {command.Length} bytes of a command");
            if (errno is not (Libc.Again or Libc.Interrupted)) throw Failed(_path, errno);
            WaitFor(Libc.PollOut, _path + " to take a command", deadline);
        }
    }

    private void WaitFor(short events, string waitingFor, Deadline deadline)
    {
        while (true)
        {
            var poll = new Libc.PollFd { Fd = _fd, Events = events };
            var ready = Libc.Poll(ref poll, 1, deadline.NextSliceMs(waitingFor));
            var errno = Marshal.GetLastPInvokeError();
            if (ready < 0 && errno != Libc.Interrupted) throw Failed(_path, errno);
            if (ready > 0) return;
        }
    }

    private static TpmException Failed(string path, int errno)
    {
        var remedy = errno switch
        {
            Libc.NoEntry or Libc.NoDevice => "Switch the TPM on in the firmware set-up, or correct tpm.device.",
            Libc.AccessDenied or Libc.NotPermitted => "Let the agent's user into group tss.",
            Libc.Busy => "Another program holds it; use /dev/tpmrm0, which can be shared.",
            _ => "The agent keeps trying; see the kernel's log.",
        };
        return new TpmException(
            TpmFailure.Unavailable, $"{path}: {Marshal.GetPInvokeErrorMessage(errno)} (errno {errno}). {remedy}");
    }
}
