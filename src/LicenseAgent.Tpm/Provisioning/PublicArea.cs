using System.Security.Cryptography;
using LicenseAgent.Tpm.Esys;
using LicenseAgent.Tpm.Wire;

namespace LicenseAgent.Tpm;

/// <summary>
/// The public half of an object: wire bytes of TPMT_PUBLIC, its Name, and its Name within its hierarchy.
/// </summary>
internal sealed record PublicArea(byte[] Wire, byte[] Name, byte[] QualifiedName)
{
    private const int CoordinateSize = 32;

    public static PublicArea Read(TpmLink link, uint tr)
    {
        var rc = EsysNative.ReadPublic(
            link.Esys, tr, EsysNative.None, EsysNative.None, EsysNative.None, out var area, out var name,
            out var qualifiedName);
        link.Check(rc, "ReadPublic");
        using var areaOutput = new EsysOutput(area);
        using var nameOutput = new EsysOutput(name);
        using var qualifiedOutput = new EsysOutput(qualifiedName);
        return new PublicArea(
            areaOutput.ToWire(MuType.Public)[2..], nameOutput.ToWire(MuType.Name)[2..],
            qualifiedOutput.ToWire(MuType.Name)[2..]);
    }

    public bool IsOfKind(ReadOnlySpan<byte> kind) => Wire.AsSpan().StartsWith(kind);

    /// <summary>
    /// A restricted decryption key that cannot leave the TPM: fit to be a parent and to salt sessions.
    /// </summary>
    public bool IsStorageKey()
    {
        var reader = new TpmReader(Wire);
        var type = reader.U16();
        var nameAlgorithm = reader.U16();
        var attributes = reader.U32();
        return type is Templates.AlgRsa or Templates.AlgEcc
            && nameAlgorithm == Templates.AlgSha256
            && (attributes & Templates.StorageKeyAttributes) == Templates.StorageKeyAttributes;
    }

    /// <summary>TPM 2.0 part 1, Names: QN = algorithm ‖ H(QN of the parent ‖ Name).</summary>
    public bool IsChildOf(PublicArea parent)
    {
        byte[] hashed = [.. parent.QualifiedName, .. Name];
        byte[] expected = [0, (byte)Templates.AlgSha256, .. SHA256.HashData(hashed)];
        return QualifiedName.AsSpan().SequenceEqual(expected);
    }

    /// <summary>x and y of the agent's signing key.</summary>
    public (byte[] X, byte[] Y) EccPoint()
    {
        var reader = new TpmReader(Wire);
        reader.Skip(Templates.SigningKeyKind.Length);
        var x = new byte[CoordinateSize];
        var y = new byte[CoordinateSize];
        KeyUse.PadLeft(reader.Sized(), x);
        KeyUse.PadLeft(reader.Sized(), y);
        return (x, y);
    }

    /// <summary>The modulus of the agent's decryption key.</summary>
    public byte[] RsaModulus()
    {
        var reader = new TpmReader(Wire);
        reader.Skip(Templates.DecryptionKeyKind.Length);
        var modulus = new byte[KeyUse.ModulusSize];
        KeyUse.PadLeft(reader.Sized(), modulus);
        return modulus;
    }
}
