using System.Text.Json.Serialization;

namespace LicenseAgent.Testbed.Tpm;

/// <summary>The TPM commands that the agent and the tpm2-tools use, by their codes (TPM 2.0 part 2, TPM_CC).</summary>
[JsonConverter(typeof(TpmCommandConverter))]
public enum TpmCommand : uint
{
    /// <summary>Stands for every command in a rule, and for a code that is not listed here in a record.</summary>
    [JsonStringEnumMemberName("*")]
    Any = 0,

    [JsonStringEnumMemberName("EvictControl")]
    EvictControl = 0x120,

    [JsonStringEnumMemberName("NV_UndefineSpace")]
    NvUndefineSpace = 0x122,

    [JsonStringEnumMemberName("Clear")]
    Clear = 0x126,

    [JsonStringEnumMemberName("HierarchyChangeAuth")]
    HierarchyChangeAuth = 0x129,

    [JsonStringEnumMemberName("NV_DefineSpace")]
    NvDefineSpace = 0x12A,

    [JsonStringEnumMemberName("CreatePrimary")]
    CreatePrimary = 0x131,

    [JsonStringEnumMemberName("NV_Increment")]
    NvIncrement = 0x134,

    [JsonStringEnumMemberName("NV_Write")]
    NvWrite = 0x137,

    [JsonStringEnumMemberName("Startup")]
    Startup = 0x144,

    [JsonStringEnumMemberName("Duplicate")]
    Duplicate = 0x14B,

    [JsonStringEnumMemberName("NV_Read")]
    NvRead = 0x14E,

    [JsonStringEnumMemberName("Create")]
    Create = 0x153,

    [JsonStringEnumMemberName("Load")]
    Load = 0x157,

    [JsonStringEnumMemberName("RSA_Decrypt")]
    RsaDecrypt = 0x159,

    [JsonStringEnumMemberName("Sign")]
    Sign = 0x15D,

    [JsonStringEnumMemberName("FlushContext")]
    FlushContext = 0x165,

    [JsonStringEnumMemberName("NV_ReadPublic")]
    NvReadPublic = 0x169,

    [JsonStringEnumMemberName("ReadPublic")]
    ReadPublic = 0x173,

    [JsonStringEnumMemberName("StartAuthSession")]
    StartAuthSession = 0x176,

    [JsonStringEnumMemberName("GetCapability")]
    GetCapability = 0x17A,

    [JsonStringEnumMemberName("GetRandom")]
    GetRandom = 0x17B,

    [JsonStringEnumMemberName("ReadClock")]
    ReadClock = 0x181,
}

/// <summary>By name alone; a number in a rule is a mistake.</summary>
internal sealed class TpmCommandConverter() : JsonStringEnumConverter<TpmCommand>(null, allowIntegerValues: false);
