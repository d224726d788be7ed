namespace LicenseAgent.Tpm.Wire;

/// <summary>Wire bytes of the structures that the agent hands to the TPM (TPM 2.0 part 2).</summary>
internal static class Templates
{
    public const ushort AlgRsa = 0x0001;
    public const ushort AlgSha256 = 0x000B;
    public const ushort AlgEcc = 0x0023;

    private const ushort AlgAes = 0x0006;
    private const ushort AlgNull = 0x0010;
    private const ushort AlgOaep = 0x0017;
    private const ushort AlgEcdsa = 0x0018;
    private const ushort AlgCfb = 0x0043;
    private const ushort CurveP256 = 0x0003;
    private const ushort StHashCheck = 0x8024;
    private const uint HierarchyNull = 0x40000007;

    private const uint FixedTpm = 1u << 1;
    private const uint FixedParent = 1u << 4;
    private const uint SensitiveDataOrigin = 1u << 5;
    private const uint UserWithAuth = 1u << 6;
    private const uint NoDa = 1u << 10;
    private const uint Restricted = 1u << 16;
    private const uint DecryptUse = 1u << 17;
    private const uint SignUse = 1u << 18;

    /// <summary>
    /// fixedTPM, fixedParent: cannot be duplicated. noDA: without it three power cuts lock the TPM for 1 000 s.
    /// </summary>
    private const uint KeyAttributes = FixedTpm | FixedParent | SensitiveDataOrigin | UserWithAuth | NoDa;

    /// <summary>What a key at the SRK's handle must have to be used as one; noDA is ours and not everybody's.</summary>
    public const uint StorageKeyAttributes = FixedTpm | FixedParent | Restricted | DecryptUse;

    public static readonly byte[] SymmetricAesCfb = new TpmWriter().U16(AlgAes).U16(128).U16(AlgCfb).ToArray();

    public static readonly byte[] SchemeEcdsaSha256 = new TpmWriter().U16(AlgEcdsa).U16(AlgSha256).ToArray();

    public static readonly byte[] SchemeOaepSha256 = new TpmWriter().U16(AlgOaep).U16(AlgSha256).ToArray();

    /// <summary>The "ticket" for a digest that was made outside the TPM, for a key that is not restricted.</summary>
    public static readonly byte[] NoHashCheck =
        new TpmWriter().U16(StHashCheck).U32(HierarchyNull).Sized([]).ToArray();

    public static readonly byte[] EmptySized = [0, 0];

    public static readonly byte[] NoPcrs = [0, 0, 0, 0];

    /// <summary>TCG "TPM v2.0 Provisioning Guidance", ECC P-256 storage root key, with noDA.</summary>
    public static readonly byte[] EccStorageRootKey = Public(new TpmWriter()
        .U16(AlgEcc).U16(AlgSha256).U32(KeyAttributes | Restricted | DecryptUse).Sized([])
        .U16(AlgAes).U16(128).U16(AlgCfb).U16(AlgNull).U16(CurveP256).U16(AlgNull)
        .Sized(new byte[32]).Sized(new byte[32]));

    /// <summary>The parts before <c>unique</c>; two keys with the same are of the same kind.</summary>
    public static readonly byte[] SigningKeyKind = new TpmWriter()
        .U16(AlgEcc).U16(AlgSha256).U32(KeyAttributes | SignUse).Sized([])
        .U16(AlgNull).U16(AlgEcdsa).U16(AlgSha256).U16(CurveP256).U16(AlgNull).ToArray();

    public static readonly byte[] DecryptionKeyKind = new TpmWriter()
        .U16(AlgRsa).U16(AlgSha256).U32(KeyAttributes | DecryptUse).Sized([])
        .U16(AlgNull).U16(AlgOaep).U16(AlgSha256).U16(2048).U32(0).ToArray();

    public static readonly byte[] SigningKey =
        Public(new TpmWriter().Raw(SigningKeyKind).Sized([]).Sized([]));

    public static readonly byte[] DecryptionKey =
        Public(new TpmWriter().Raw(DecryptionKeyKind).Sized([]));

    /// <summary>TPM2B_SENSITIVE_CREATE: an auth value and no data.</summary>
    public static byte[] SensitiveCreate(ReadOnlySpan<byte> auth) =>
        new TpmWriter().U16((ushort)(auth.Length + 4)).Sized(auth).Sized([]).ToArray();

    public static byte[] NvPublic(NvIndex index) => Public(new TpmWriter()
        .U32(index.Handle).U16(AlgSha256).U32(index.Attributes).Sized([]).U16(index.Size));

    public static byte[] Sized(ReadOnlySpan<byte> bytes) => new TpmWriter().Sized(bytes).ToArray();

    private static byte[] Public(TpmWriter area) => new TpmWriter().Sized(area.ToArray()).ToArray();
}
