using System.Text;
using LicenseAgent.Tpm.Esys;
using LicenseAgent.Tpm.Wire;

namespace LicenseAgent.Tpm;

/// <summary>The commands that only the TPM's owner may give; needed at provisioning alone.</summary>
internal sealed class OwnerHierarchy
{
    // ESYS_TR_PASSWORD: plain authorisation, good for the null hierarchy, whose password is empty by definition.
    private const uint PlainPassword = 0x0FF;

    private readonly TpmLink _link;
    private readonly bool _passwordGiven;

    public OwnerHierarchy(TpmLink link, string? ownerAuth)
    {
        _link = link;
        _passwordGiven = !string.IsNullOrEmpty(ownerAuth);
        // Set also when empty: an earlier call on this connection may have set another one.
        link.SetAuth(EsysNative.RhOwner, Encoding.UTF8.GetBytes(ownerAuth ?? ""));
    }

    public uint CreateNullPrimary()
    {
        _link.SetAuth(EsysNative.RhNull, []);
        return CreatePrimary(EsysNative.RhNull, PlainPassword);
    }

    public uint CreatePrimary(TpmSession session) => CreatePrimary(EsysNative.RhOwner, session.For(Encrypt.Request));

    public uint Persist(TpmSession session, uint transient, uint handle)
    {
        var rc = EsysNative.EvictControl(
            _link.Esys, EsysNative.RhOwner, transient, session.For(Encrypt.None), EsysNative.None, EsysNative.None,
            handle, out var persistent);
        Check(rc, "EvictControl");
        return persistent;
    }

    public void Evict(TpmSession session, uint persistent, uint handle)
    {
        var rc = EsysNative.EvictControl(
            _link.Esys, EsysNative.RhOwner, persistent, session.For(Encrypt.None), EsysNative.None, EsysNative.None,
            handle, out _);
        Check(rc, "EvictControl");
    }

    public uint Define(TpmSession session, NvIndex index, ReadOnlySpan<byte> auth)
    {
        using var authBlock = MuType.Digest.ToNative(Templates.Sized(auth));
        using var area = MuType.NvPublic.ToNative(Templates.NvPublic(index));
        var rc = EsysNative.NvDefineSpace(
            _link.Esys, EsysNative.RhOwner, session.For(Encrypt.Request), EsysNative.None, EsysNative.None,
            authBlock.Pointer, area.Pointer, out var nv);
        Check(rc, "NV_DefineSpace");
        return nv;
    }

    public void Undefine(TpmSession session, uint nv)
    {
        var rc = EsysNative.NvUndefineSpace(
            _link.Esys, EsysNative.RhOwner, nv, session.For(Encrypt.None), EsysNative.None, EsysNative.None);
        Check(rc, "NV_UndefineSpace");
    }

    private uint CreatePrimary(uint hierarchy, uint session)
    {
        using var sensitive = MuType.SensitiveCreate.ToNative(Templates.SensitiveCreate([]));
        using var template = MuType.Public.ToNative(Templates.EccStorageRootKey);
        using var outside = MuType.Data.ToNative(Templates.EmptySized);
        using var pcrs = MuType.PcrSelection.ToNative(Templates.NoPcrs);
        var rc = EsysNative.CreatePrimary(
            _link.Esys, hierarchy, session, EsysNative.None, EsysNative.None, sensitive.Pointer, template.Pointer,
            outside.Pointer, pcrs.Pointer, out var primary, 0, 0, 0, 0);
        Check(rc, "CreatePrimary");
        return primary;
    }

    private void Check(uint rc, string command)
    {
        if (!ResponseCodes.IsAuthFailure(rc))
        {
            _link.Check(rc, command);
            return;
        }

        throw new TpmException(
            TpmFailure.OwnerAuthRequired,
            _passwordGiven
                ? $"{command}: the TPM refuses the owner password that was given; correct --owner-auth-file."
                : $"{command}: the TPM's owner hierarchy has a password. Give it once, at enrolment: "
                    + "--owner-auth-file FILE. Afterwards none is needed.",
            rc);
    }
}
