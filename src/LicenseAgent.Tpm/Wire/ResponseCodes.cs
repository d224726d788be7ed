namespace LicenseAgent.Tpm.Wire;

/// <summary>
/// TPM 2.0 part 2, TPM_RC, as far as the agent tells codes apart; names for the rest that are common.
/// </summary>
internal static class ResponseCodes
{
    public const uint Initialize = 0x100;
    public const uint Failure = 0x101;
    public const uint NvUninitialized = 0x14A;
    public const uint Lockout = 0x921;
    public const uint Retry = 0x922;

    private const uint LayerMask = 0x00FF0000;
    private const uint ResourceLayerKernel = 0x000B0000;
    private const uint FormatOne = 0x80;
    private const uint ParameterBit = 0x40;

    // tpm2-tss: (layer 7 = ESYS | 27 = RSP_AUTH_FAILED). Layers 8 and 9 (SYS, MU) fail on answers only.
    private const uint EsysRspAuthFailed = 0x0007001B;
    private const uint EsysMalformed = 0x00070011;
    private const uint SysLayer = 0x00080000;
    private const uint MuLayer = 0x00090000;

    /// <summary>"Not now": the command was not executed, and the same bytes may be sent again.</summary>
    public static bool IsTryAgain(uint rc) => rc is Retry or 0x908 or 0x90A or 0x920 or 0x923;

    /// <summary>No object or index has that handle.</summary>
    public static bool IsMissingHandle(uint rc) => rc == 0x18B;

    public static bool IsAuthFailure(uint rc) => IsFormatOne(rc) && Base(rc) is 0x8E or 0xA2 && (rc & LayerMask) == 0;

    /// <summary>
    /// The TPM looked at a parameter and refused it; for TPM2_RSA_Decrypt: the padding or size is wrong.
    /// </summary>
    public static bool IsParameterRefused(uint rc) =>
        IsFormatOne(rc) && ((rc & ParameterBit) != 0 || (rc & 0xF00) == 0) && Base(rc) is 0x84 or 0x95;

    public static bool IsBadAnswer(uint rc) =>
        rc is EsysRspAuthFailed or EsysMalformed || (rc & LayerMask) is SysLayer or MuLayer;

    public static string Describe(uint rc)
    {
        var name = (rc & LayerMask) is not (0 or ResourceLayerKernel) ? "TSS library"
            : IsFormatOne(rc) ? FormatOneName(Base(rc))
            : FormatZeroName(rc & 0xFFF);
        return $"{name} 0x{rc:x}";
    }

    private static bool IsFormatOne(uint rc) => (rc & LayerMask) == 0 && (rc & FormatOne) != 0;

    private static uint Base(uint rc) => rc & 0xBF;

    private static string FormatOneName(uint code) => code switch
    {
        0x82 => "ATTRIBUTES",
        0x84 => "VALUE",
        0x85 => "HIERARCHY",
        0x87 => "KEY_SIZE",
        0x8B => "HANDLE",
        0x8E => "AUTH_FAIL",
        0x95 => "SIZE",
        0x98 => "INSUFFICIENT",
        0x9D => "POLICY_FAIL",
        0x9F => "INTEGRITY",
        0xA2 => "BAD_AUTH",
        _ => "TPM response code",
    };

    private static string FormatZeroName(uint code) => code switch
    {
        Initialize => "INITIALIZE",
        Failure => "FAILURE",
        0x149 => "NV_AUTHORIZATION",
        NvUninitialized => "NV_UNINITIALIZED",
        0x14B => "NV_SPACE",
        0x14C => "NV_DEFINED",
        0x902 => "OBJECT_MEMORY",
        0x903 => "SESSION_MEMORY",
        0x904 => "MEMORY",
        0x905 => "SESSION_HANDLES",
        0x908 => "YIELDED",
        0x90A => "TESTING",
        0x920 => "NV_RATE",
        Lockout => "LOCKOUT",
        Retry => "RETRY",
        0x923 => "NV_UNAVAILABLE",
        _ => "TPM response code",
    };
}
