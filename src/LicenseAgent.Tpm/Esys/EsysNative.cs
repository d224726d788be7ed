using System.Runtime.InteropServices;

namespace LicenseAgent.Tpm.Esys;

/// <summary>The functions of libtss2-esys that are used, as tss2_esys.h of tpm2-tss 3.x declares them.</summary>
internal static partial class EsysNative
{
    public const uint None = 0xFFF;
    public const uint RhOwner = 0x101;
    public const uint RhNull = 0x107;

    private const string Lib = TssLibrary.EsysName;

    [LibraryImport(Lib, EntryPoint = "Esys_Initialize")]
    public static partial uint Initialize(out nint context, nint tcti, nint abiVersion);

    [LibraryImport(Lib, EntryPoint = "Esys_Finalize")]
    public static partial void Finalize(ref nint context);

    [LibraryImport(Lib, EntryPoint = "Esys_Free")]
    public static partial void Free(nint block);

    [LibraryImport(Lib, EntryPoint = "Esys_TR_FromTPMPublic")]
    public static partial uint TrFromTpmPublic(nint ctx, uint tpmHandle, uint s1, uint s2, uint s3, out uint tr);

    [LibraryImport(Lib, EntryPoint = "Esys_TR_Close")]
    public static partial uint TrClose(nint ctx, ref uint tr);

    [LibraryImport(Lib, EntryPoint = "Esys_TR_SetAuth")]
    public static partial uint TrSetAuth(nint ctx, uint tr, nint auth);

    [LibraryImport(Lib, EntryPoint = "Esys_TR_GetName")]
    public static partial uint TrGetName(nint ctx, uint tr, out nint name);

    [LibraryImport(Lib, EntryPoint = "Esys_TRSess_SetAttributes")]
    public static partial uint SessionSetAttributes(nint ctx, uint session, byte flags, byte mask);

    [LibraryImport(Lib, EntryPoint = "Esys_StartAuthSession")]
    public static partial uint StartAuthSession(
        nint ctx, uint tpmKey, uint bind, uint s1, uint s2, uint s3, nint nonceCaller, byte sessionType,
        nint symmetric, ushort authHash, out uint session);

    [LibraryImport(Lib, EntryPoint = "Esys_FlushContext")]
    public static partial uint FlushContext(nint ctx, uint tr);

    [LibraryImport(Lib, EntryPoint = "Esys_CreatePrimary")]
    public static partial uint CreatePrimary(
        nint ctx, uint hierarchy, uint s1, uint s2, uint s3, nint sensitive, nint inPublic, nint outsideInfo,
        nint creationPcr, out uint tr, nint outPublic, nint creationData, nint creationHash, nint creationTicket);

    [LibraryImport(Lib, EntryPoint = "Esys_Create")]
    public static partial uint Create(
        nint ctx, uint parent, uint s1, uint s2, uint s3, nint sensitive, nint inPublic, nint outsideInfo,
        nint creationPcr, out nint outPrivate, out nint outPublic, nint creationData, nint creationHash,
        nint creationTicket);

    [LibraryImport(Lib, EntryPoint = "Esys_Load")]
    public static partial uint Load(
        nint ctx, uint parent, uint s1, uint s2, uint s3, nint inPrivate, nint inPublic, out uint tr);

    [LibraryImport(Lib, EntryPoint = "Esys_ReadPublic")]
    public static partial uint ReadPublic(
        nint ctx, uint tr, uint s1, uint s2, uint s3, out nint outPublic, out nint name, out nint qualifiedName);

    [LibraryImport(Lib, EntryPoint = "Esys_EvictControl")]
    public static partial uint EvictControl(
        nint ctx, uint auth, uint tr, uint s1, uint s2, uint s3, uint persistentHandle, out uint newTr);

    [LibraryImport(Lib, EntryPoint = "Esys_Sign")]
    public static partial uint Sign(
        nint ctx, uint key, uint s1, uint s2, uint s3, nint digest, nint scheme, nint validation, out nint signature);

    [LibraryImport(Lib, EntryPoint = "Esys_RSA_Decrypt")]
    public static partial uint RsaDecrypt(
        nint ctx, uint key, uint s1, uint s2, uint s3, nint cipherText, nint scheme, nint label, out nint message);

    [LibraryImport(Lib, EntryPoint = "Esys_GetRandom")]
    public static partial uint GetRandom(nint ctx, uint s1, uint s2, uint s3, ushort count, out nint random);

    [LibraryImport(Lib, EntryPoint = "Esys_NV_DefineSpace")]
    public static partial uint NvDefineSpace(
        nint ctx, uint hierarchy, uint s1, uint s2, uint s3, nint auth, nint publicArea, out uint tr);

    [LibraryImport(Lib, EntryPoint = "Esys_NV_UndefineSpace")]
    public static partial uint NvUndefineSpace(nint ctx, uint hierarchy, uint nv, uint s1, uint s2, uint s3);

    [LibraryImport(Lib, EntryPoint = "Esys_NV_ReadPublic")]
    public static partial uint NvReadPublic(
        nint ctx, uint nv, uint s1, uint s2, uint s3, out nint publicArea, out nint name);

    [LibraryImport(Lib, EntryPoint = "Esys_NV_Write")]
    public static partial uint NvWrite(
        nint ctx, uint auth, uint nv, uint s1, uint s2, uint s3, nint data, ushort offset);

    [LibraryImport(Lib, EntryPoint = "Esys_NV_Read")]
    public static partial uint NvRead(
        nint ctx, uint auth, uint nv, uint s1, uint s2, uint s3, ushort size, ushort offset, out nint data);

    [LibraryImport(Lib, EntryPoint = "Esys_NV_Increment")]
    public static partial uint NvIncrement(nint ctx, uint auth, uint nv, uint s1, uint s2, uint s3);

    [LibraryImport(Lib, EntryPoint = "Esys_ReadClock")]
    public static partial uint ReadClock(nint ctx, uint s1, uint s2, uint s3, out nint timeInfo);

    [LibraryImport(Lib, EntryPoint = "Esys_GetCapability")]
    public static partial uint GetCapability(
        nint ctx, uint s1, uint s2, uint s3, uint capability, uint property, uint count, out byte moreData,
        out nint data);
}
