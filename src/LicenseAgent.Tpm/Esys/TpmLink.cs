using LicenseAgent.Tpm.Transport;
using LicenseAgent.Tpm.Wire;

namespace LicenseAgent.Tpm.Esys;

/// <summary>
/// One connection to the TPM with the ESYS context on it. Lives from connect to the first failure; then it is
/// thrown away with everything it knew and the next call makes a new one. Used by the TPM worker's thread alone.
/// </summary>
internal sealed class TpmLink : IDisposable
{
    private readonly Tcti _tcti;
    private nint _esys;
    private bool _spent;

    private TpmLink(Tcti tcti, nint esys, TpmOptions options, bool encryptParameters)
    {
        _tcti = tcti;
        _esys = esys;
        Options = options;
        EncryptParameters = encryptParameters;
    }

    public nint Esys => _esys;

    public TpmOptions Options { get; }

    /// <summary>False in the negative control of the bus tests alone.</summary>
    public bool EncryptParameters { get; }

    /// <summary>The agent's keys on this connection, once they were checked.</summary>
    public BoundTpm? Bound { get; set; }

    public bool IsUsable => !_spent && !_tcti.Transport.IsDead && _tcti.Failure is null && _tcti.Transport.LooksAlive();

    public static TpmLink Connect(
        TpmAddress address, TpmOptions options, bool encryptParameters, CancellationToken stopping)
    {
        TssLibrary.Require();
        var transport = TpmTransport.Connect(address, Deadline.After(options.CommandTimeout, stopping));
        var tcti = new Tcti(transport, options, stopping);
        try
        {
            if (!transport.CleansUpAfterClients)
            {
                LooseHandles.StartUp(tcti);
                LooseHandles.Flush(tcti);
            }

            var rc = EsysNative.Initialize(out var esys, tcti.Pointer, 0);
            if (rc != 0) throw tcti.Failure ?? Failed(rc, "Esys_Initialize");
            return new TpmLink(tcti, esys, options, encryptParameters);
        }
        catch (Exception)
        {
            tcti.Dispose();
            throw;
        }
    }

    /// <summary>Throws what a response code other than 0 means.</summary>
    public void Check(uint rc, string command)
    {
        if (_tcti.Failure is { } failure) throw Again(failure);
        if (rc != 0) throw Failed(rc, command);
    }

    /// <summary>The ESYS object for a persistent handle or NV index; null where the TPM has none.</summary>
    public uint? Attach(uint handle)
    {
        var rc = EsysNative.TrFromTpmPublic(
            _esys, handle, EsysNative.None, EsysNative.None, EsysNative.None, out var tr);
        if (_tcti.Failure is null && ResponseCodes.IsMissingHandle(rc)) return null;
        Check(rc, "ReadPublic");
        return tr;
    }

    public void Close(uint tr) => Check(EsysNative.TrClose(_esys, ref tr), "TR_Close");

    public byte[] NameOf(uint tr)
    {
        Check(EsysNative.TrGetName(_esys, tr, out var name), "TR_GetName");
        using var output = new EsysOutput(name);
        var wire = output.ToWire(MuType.Name);
        return wire[2..];
    }

    public void SetAuth(uint tr, ReadOnlySpan<byte> auth)
    {
        using var native = MuType.Digest.ToNative(Templates.Sized(auth));
        Check(EsysNative.TrSetAuth(_esys, tr, native.Pointer), "TR_SetAuth");
    }

    /// <summary>
    /// Flushes a session or transient object in a <c>finally</c>: never throws, because it would hide the first
    /// failure. If it does not succeed the connection is given up, and the next one starts by flushing.
    /// </summary>
    public void Flush(uint tr)
    {
        if (_tcti.Failure is not null || EsysNative.FlushContext(_esys, tr) != 0) _spent = true;
    }

    /// <summary>Lets the worker drop this connection after the call.</summary>
    public void Retire() => _spent = true;

    public IReadOnlyList<uint> LoadedHandles() => LooseHandles.List(_tcti);

    /// <summary>Overwrites what tpm2-tss keeps of the last, decrypted, response.</summary>
    public void WipeLastResponse() => _tcti.WipeLastResponse();

    public void Dispose()
    {
        if (_esys != 0) EsysNative.Finalize(ref _esys);
        _tcti.Dispose();
    }

    // A failure of the transport is reported once by every command that meets it; the stack of the first is kept
    // inside.
    private static Exception Again(Exception failure) => failure is TpmException known
        ? new TpmException(known.Reason, known.Message, known.ResponseCode, known)
        : new InvalidOperationException("the TPM transport is broken", failure);

    private static TpmException Failed(uint rc, string command)
    {
        var what = $"{command} failed with {ResponseCodes.Describe(rc)}";
        if (rc == ResponseCodes.Lockout)
        {
            return new TpmException(
                TpmFailure.Lockout,
                $"{what}: the TPM is in dictionary-attack lockout. Wait until it ends by itself, or run "
                + "tpm2_dictionarylockout --clear-lockout.",
                rc);
        }

        if (ResponseCodes.IsAuthFailure(rc))
        {
            return new TpmException(
                TpmFailure.AuthFailed,
                $"{what}: the auth value is not the one the object was made with. Put back the agent.json of this "
                + "enrolment, or enrol anew with --replace.",
                rc);
        }

        return ResponseCodes.IsBadAnswer(rc)
            ? new TpmException(TpmFailure.BadResponse, $"{what}: the answer is malformed or was altered.", rc)
            : new TpmException(TpmFailure.CommandFailed, $"{what}. The agent keeps trying.", rc);
    }
}
