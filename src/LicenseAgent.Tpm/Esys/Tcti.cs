using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using LicenseAgent.Tpm.Transport;
using LicenseAgent.Tpm.Wire;

namespace LicenseAgent.Tpm.Esys;

/// <summary>
/// What tpm2-tss calls to reach the TPM (TSS 2.0 TCTI specification, version 1): our transport behind function
/// pointers. Here, at the one place that every command passes, "try again" answers are retried: such a command was not
/// executed and session nonces did not move, so the same bytes stay valid.
/// Used by the TPM worker's thread alone.
/// </summary>
internal sealed unsafe class Tcti : IDisposable
{
    private const ulong Magic = 0x4C53_4154_4354_4931;
    private const uint IoError = 0x000A000A;
    private const uint BadReference = 0x000A0005;
    private const uint InsufficientBuffer = 0x000A0006;
    private const uint Success = 0;

    private const uint CommandCreatePrimary = 0x131;
    private const uint CommandCreate = 0x153;

    // 20 ms doubling to 1 s: about 5 s in all, within the default command timeout.
    private const int AttemptsMax = 10;
    private const int FirstDelayMs = 20;
    private const int DelayMaxMs = 1000;

    private readonly TpmTransport _transport;
    private readonly TpmOptions _options;
    private readonly CancellationToken _stopping;
    private readonly byte[] _response = new byte[TpmFrame.SizeMax];
    private int _responseLength;
    private Context* _context;
    private GCHandle _self;
    private byte* _libraryBuffer;
    private int _libraryBufferLength;

    public Tcti(TpmTransport transport, TpmOptions options, CancellationToken stopping)
    {
        _transport = transport;
        _options = options;
        _stopping = stopping;
        _self = GCHandle.Alloc(this);
        _context = (Context*)NativeMemory.AllocZeroed((nuint)sizeof(Context));
        _context->Magic = Magic;
        _context->Version = 1;
        _context->Transmit = &Transmit;
        _context->Receive = &Receive;
        _context->Self = GCHandle.ToIntPtr(_self);
    }

    public nint Pointer => (nint)_context;

    public TpmTransport Transport => _transport;

    /// <summary>What went wrong below tpm2-tss; a C function cannot throw it.</summary>
    public Exception? Failure { get; private set; }

    public CancellationToken Stopping => _stopping;

    /// <summary>One command and its response, which stays valid until the next one. Throws TpmException.</summary>
    public ReadOnlySpan<byte> Exchange(ReadOnlySpan<byte> command)
    {
        var makesKey = TpmFrame.Code(command) is CommandCreate or CommandCreatePrimary;
        var deadline = Deadline.After(makesKey ? _options.KeyGenerationTimeout : _options.CommandTimeout, _stopping);
        var delayMs = FirstDelayMs;
        for (var attempt = 1; ; attempt++)
        {
            var length = _transport.Exchange(command, _response, deadline);
            var rc = TpmFrame.Code(_response);
            if (!ResponseCodes.IsTryAgain(rc)) return _response.AsSpan(0, length);
            if (attempt == AttemptsMax || deadline.Remaining.TotalMilliseconds < delayMs) throw StillBusy(rc, attempt);
            _stopping.WaitHandle.WaitOne(delayMs);
            delayMs = Math.Min(2 * delayMs, DelayMaxMs);
        }
    }

    /// <summary>
    /// Overwrites tpm2-tss's own copy of the last response, in which it decrypted the parameter in place. It would
    /// keep it until the next command.
    /// </summary>
    public void WipeLastResponse()
    {
        CryptographicOperations.ZeroMemory(new Span<byte>(_libraryBuffer, _libraryBufferLength));
        CryptographicOperations.ZeroMemory(_response);
    }

    public void Dispose()
    {
        if (_context is null) return;
        NativeMemory.Free(_context);
        _context = null;
        _self.Free();
        _transport.Dispose();
    }

    private static TpmException StillBusy(uint rc, int attempts) => new(
        TpmFailure.Busy,
        $"The TPM answered \"try again\" ({ResponseCodes.Describe(rc)}) {attempts} times. The agent keeps trying.",
        rc);

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static uint Transmit(Context* context, nuint size, byte* command)
    {
        if (context is null || command is null) return BadReference;
        var tcti = (Tcti)GCHandle.FromIntPtr(context->Self).Target!;
        tcti._responseLength = 0;
        if (tcti.Failure is not null) return IoError;
        try
        {
            tcti._responseLength = tcti.Exchange(new ReadOnlySpan<byte>(command, (int)size)).Length;
            return Success;
        }
        // No exception may cross the C frames above; TpmLink.Check throws it again on their other side.
        catch (Exception e)
        {
            tcti.Failure = e;
            return IoError;
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static uint Receive(Context* context, nuint* size, byte* response, int timeout)
    {
        // The timeout is not looked at: the answer is already here, waited for under our own deadline.
        _ = timeout;
        if (context is null || size is null) return BadReference;
        var tcti = (Tcti)GCHandle.FromIntPtr(context->Self).Target!;
        if (tcti._responseLength == 0) return IoError;

        var room = *size;
        *size = (nuint)tcti._responseLength;
        if (response is null) return Success;
        if (room < *size) return InsufficientBuffer;
        tcti._response.AsSpan(0, tcti._responseLength).CopyTo(new Span<byte>(response, tcti._responseLength));
        tcti._libraryBuffer = response;
        tcti._libraryBufferLength = tcti._responseLength;
        tcti._responseLength = 0;
        return Success;
    }

    /// <summary>
    /// TSS2_TCTI_CONTEXT_COMMON_V1 with our own field behind it. Members that stay null are optional.
    /// </summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Context
    {
        public ulong Magic;
        public uint Version;
        public delegate* unmanaged[Cdecl]<Context*, nuint, byte*, uint> Transmit;
        public delegate* unmanaged[Cdecl]<Context*, nuint*, byte*, int, uint> Receive;
        public nint Finalize;
        public nint Cancel;
        public nint GetPollHandles;
        public nint SetLocality;
        public nint Self;
    }
}
