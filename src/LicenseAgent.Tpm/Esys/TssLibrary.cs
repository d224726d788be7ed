using System.Runtime.InteropServices;

namespace LicenseAgent.Tpm.Esys;

/// <summary>
/// Loads tpm2-tss once, silenced: its default is to write every TPM error to stderr, keys' handles included.
/// </summary>
internal static class TssLibrary
{
    public const string EsysName = "libtss2-esys.so.0";
    private const string MuName = "libtss2-mu.so.0";

    private static readonly nint s_mu = Load();

    public static nint Mu => s_mu;

    /// <summary>
    /// To be called before the first ESYS function; says in one sentence what is missing on this machine.
    /// </summary>
    public static void Require()
    {
        try
        {
            _ = Mu;
        }
        catch (TypeInitializationException e) when (e.InnerException is DllNotFoundException missing)
        {
            throw new TpmException(
                TpmFailure.Unavailable,
                "The tpm2-tss libraries are missing; install the packages libtss2-esys-3.0.2-0 and libtss2-mu0.",
                0,
                missing);
        }
    }

    private static nint Load()
    {
        // By libc, because Environment.SetEnvironmentVariable does not reach getenv; not over what an operator set.
        if (Libc.SetEnv("TSS2_LOG", "all+none", 0) != 0)
            throw new InvalidOperationException($"setenv: errno {Marshal.GetLastPInvokeError()}");
        _ = NativeLibrary.Load(EsysName, typeof(TssLibrary).Assembly, null);
        return NativeLibrary.Load(MuName, typeof(TssLibrary).Assembly, null);
    }
}
