using LicenseAgent.Tpm.Esys;
using LicenseAgent.Tpm.Wire;

namespace LicenseAgent.Tpm;

/// <summary>
/// Makes, or finds again, what the agent needs in the TPM: storage root key, two keys, four NV indices, one increment.
/// Each step looks at what is there before it acts, so that a run killed between any two commands is finished by the
/// next one with the same auth value; transient leftovers go with the connection. Used by the TPM worker's thread
/// alone.
/// </summary>
internal sealed class Provisioning
{
    private readonly TpmLink _link;
    private readonly ReadOnlyMemory<byte> _keyAuth;
    private readonly OwnerHierarchy _owner;
    private readonly bool _replace;

    private Provisioning(TpmLink link, ReadOnlyMemory<byte> keyAuth, string? ownerAuth, bool replace)
    {
        _link = link;
        _keyAuth = keyAuth;
        _owner = new OwnerHierarchy(link, ownerAuth);
        _replace = replace;
    }

    public static TpmIdentity Run(TpmLink link, ReadOnlyMemory<byte> keyAuth, string? ownerAuth, bool replace) =>
        new Provisioning(link, keyAuth, ownerAuth, replace).Run();

    private TpmIdentity Run()
    {
        var srk = FindOrMakeSrk();
        var parent = PublicArea.Read(_link, srk);
        using var session = TpmSession.Start(_link, srk);
        var signing = FindOrMakeKey(session, srk, parent, AgentKey.Signing(_link.Options.SigningHandle));
        var decryption = FindOrMakeKey(session, srk, parent, AgentKey.Decryption(_link.Options.DecryptionHandle));
        foreach (var index in NvLayout.All) FindOrDefine(session, index);

        var signingArea = PublicArea.Read(_link, signing);
        var decryptionArea = PublicArea.Read(_link, decryption);
        var (x, y) = signingArea.EccPoint();
        return new TpmIdentity(
            x, y, decryptionArea.RsaModulus(), parent.Name, signingArea.Name, decryptionArea.Name);
    }

    private uint FindOrMakeSrk()
    {
        if (_link.Attach(TpmOptions.SrkHandle) is not { } found) return MakeSrk();
        if (PublicArea.Read(_link, found).IsStorageKey()) return found;
        throw new TpmException(
            TpmFailure.KeyHandleTaken,
            $"The object at 0x{TpmOptions.SrkHandle:x8} is no storage key, and that handle is where the storage root "
            + $"key belongs. If nothing needs it, evict it: tpm2_evictcontrol -C o -c 0x{TpmOptions.SrkHandle:x8}.");
    }

    private uint MakeSrk()
    {
        // Nothing to salt to yet: a throw-away key in the null hierarchy keeps the owner's password off the bus.
        var salt = _owner.CreateNullPrimary();
        try
        {
            using var session = TpmSession.Start(_link, salt);
            var primary = _owner.CreatePrimary(session);
            try
            {
                return _owner.Persist(session, primary, TpmOptions.SrkHandle);
            }
            finally
            {
                _link.Flush(primary);
            }
        }
        finally
        {
            _link.Flush(salt);
        }
    }

    private uint FindOrMakeKey(TpmSession session, uint srk, PublicArea parent, AgentKey kind)
    {
        var found = _link.Attach(kind.Handle);
        if (found is { } there && !_replace)
        {
            return IsOurs(session, there, parent, kind)
                ? there
                : throw Taken($"the persistent handle 0x{kind.Handle:x8} holds another key");
        }

        if (found is { } old) _owner.Evict(session, old, kind.Handle);
        var loaded = Create(session, srk, kind);
        try
        {
            var key = _owner.Persist(session, loaded, kind.Handle);
            _link.SetAuth(key, _keyAuth.Span);
            kind.Try(_link, session, key);
            return key;
        }
        finally
        {
            _link.Flush(loaded);
        }
    }

    /// <summary>
    /// Ours: of our kind (so noDA, and a failed trial costs nothing), a child of this SRK, and usable with our auth
    /// value.
    /// </summary>
    private bool IsOurs(TpmSession session, uint key, PublicArea parent, AgentKey kind)
    {
        var area = PublicArea.Read(_link, key);
        if (!area.IsOfKind(kind.Kind) || !area.IsChildOf(parent)) return false;
        _link.SetAuth(key, _keyAuth.Span);
        try
        {
            kind.Try(_link, session, key);
            return true;
        }
        catch (TpmException e) when (e.Reason == TpmFailure.AuthFailed)
        {
            return false;
        }
    }

    private uint Create(TpmSession session, uint srk, AgentKey kind)
    {
        using var sensitive = MuType.SensitiveCreate.ToNative(Templates.SensitiveCreate(_keyAuth.Span));
        using var template = MuType.Public.ToNative(kind.Template);
        using var outside = MuType.Data.ToNative(Templates.EmptySized);
        using var pcrs = MuType.PcrSelection.ToNative(Templates.NoPcrs);
        var rc = EsysNative.Create(
            _link.Esys, srk, session.For(Encrypt.Both), EsysNative.None, EsysNative.None, sensitive.Pointer,
            template.Pointer, outside.Pointer, pcrs.Pointer, out var privatePart, out var publicPart, 0, 0, 0);
        _link.Check(rc, "Create");
        using var privateOutput = new EsysOutput(privatePart);
        using var publicOutput = new EsysOutput(publicPart);
        rc = EsysNative.Load(
            _link.Esys, srk, session.For(Encrypt.Request), EsysNative.None, EsysNative.None, privatePart, publicPart,
            out var loaded);
        _link.Check(rc, "Load");
        return loaded;
    }

    private void FindOrDefine(TpmSession session, NvIndex index)
    {
        var nv = _link.Attach(index.Handle);
        if (nv is { } old && _replace)
        {
            _owner.Undefine(session, old);
            nv = null;
        }

        if (nv is { } there)
        {
            if (NvUse.ReadPublic(_link, there).Index != index) throw NvTaken(index);
            _link.SetAuth(there, _keyAuth.Span);
            if (!IsReadable(session, there, index.Size)) throw NvTaken(index);
        }

        var defined = nv ?? _owner.Define(session, index, _keyAuth.Span);
        _link.SetAuth(defined, _keyAuth.Span);
        // A counter starts at one more than the TPM ever counted to, and cannot be read before its first increment.
        if (index.Handle == NvLayout.CounterIndex && !NvUse.ReadPublic(_link, defined).Written)
            NvUse.Increment(_link, session, defined);
    }

    private bool IsReadable(TpmSession session, uint nv, ushort size)
    {
        try
        {
            _ = NvUse.Read(_link, session, nv, size);
            return true;
        }
        catch (TpmException e) when (e.Reason == TpmFailure.AuthFailed)
        {
            return false;
        }
    }

    private static TpmException NvTaken(NvIndex index) =>
        Taken($"the NV index 0x{index.Handle:x8} is in use by something else");

    private static TpmException Taken(string fact) => new(
        TpmFailure.KeyHandleTaken,
        $"Cannot provision: {fact}, or was made by an earlier enrolment. To take it over, enrol with --replace; "
        + "otherwise configure other handles (tpm.signing_handle, tpm.decryption_handle).");
}
