using LicenseAgent.Tpm.Wire;

namespace LicenseAgent.Tpm.Transport;

/// <summary>
/// One connection to a TPM, one command at a time, used by the TPM worker's thread alone.
/// After any failure it is dead: an answer that comes late must not be taken for the answer of the next command.
/// </summary>
internal abstract class TpmTransport : IDisposable
{
    private bool _dead;

    /// <summary>
    /// Whether objects and sessions of a connection go away with it. The kernel's /dev/tpmrm0 does that; an emulator
    /// has three slots and keeps what a killed client left in them.
    /// </summary>
    public abstract bool CleansUpAfterClients { get; }

    public bool IsDead => _dead;

    public static TpmTransport Connect(TpmAddress address, Deadline deadline) => address.Kind switch
    {
        TpmAddressKind.Device => DeviceTransport.Open(address),
        TpmAddressKind.Mssim => MssimTransport.Open(address, deadline),
        _ => SwtpmTransport.Open(address, deadline),
    };

    /// <summary>
    /// Sends a command and waits for the whole response; returns its length. Throws TpmException only.
    /// </summary>
    public int Exchange(ReadOnlySpan<byte> command, byte[] response, Deadline deadline)
    {
        if (_dead) throw new TpmException(TpmFailure.Unavailable, "The connection to the TPM is gone.");
        _dead = true;
        var length = ExchangeOnce(command, response, deadline);
        _dead = false;
        return length;
    }

    /// <summary>Whether an idle connection still looks alive; a peer that restarted meanwhile has closed it.</summary>
    public abstract bool LooksAlive();

    public abstract void Dispose();

    protected abstract int ExchangeOnce(ReadOnlySpan<byte> command, byte[] response, Deadline deadline);
}
