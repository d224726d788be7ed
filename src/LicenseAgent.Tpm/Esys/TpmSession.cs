using LicenseAgent.Tpm.Wire;

namespace LicenseAgent.Tpm.Esys;

/// <summary>
/// Which first parameter of a command crosses the bus encrypted; a command without a sized one has none.
/// </summary>
[Flags]
internal enum Encrypt
{
    None = 0,
    Request = 1,
    Response = 2,
    Both = Request | Response,
}

/// <summary>
/// An HMAC session for the few commands of one call. Salted to a key in the TPM whose Name was checked, so that what
/// sits on the bus knows neither the session key nor what it encrypts (AES-128-CFB).
/// </summary>
internal readonly ref struct TpmSession
{
    private const byte TypeHmac = 0;
    private const byte ContinueSession = 0x01;
    private const byte DecryptAttribute = 0x20;
    private const byte EncryptAttribute = 0x40;

    private readonly TpmLink _link;
    private readonly uint _session;
    private readonly bool _salted;

    private TpmSession(TpmLink link, uint session, bool salted)
    {
        _link = link;
        _session = session;
        _salted = salted;
    }

    /// <param name="link">The connection.</param>
    /// <param name="saltKey">The storage key to salt to, or <see cref="EsysNative.None"/> for no salt.</param>
    public static TpmSession Start(TpmLink link, uint saltKey)
    {
        using var symmetric = MuType.SymDef.ToNative(Templates.SymmetricAesCfb);
        var rc = EsysNative.StartAuthSession(
            link.Esys, saltKey, EsysNative.None, EsysNative.None, EsysNative.None, EsysNative.None, 0, TypeHmac,
            symmetric.Pointer, Templates.AlgSha256, out var session);
        link.Check(rc, "StartAuthSession");
        return new TpmSession(link, session, saltKey != EsysNative.None);
    }

    /// <summary>The session's ESYS handle, set to encrypt what the next command's shape allows.</summary>
    public uint For(Encrypt parameters)
    {
        // Unsalted and unbound, the session key is empty: anybody on the bus could undo such encryption.
        if (parameters != Encrypt.None && !_salted)
            throw new InvalidOperationException("parameter encryption in a session that is neither salted nor bound");

        var flags = ContinueSession;
        if (_link.EncryptParameters && parameters.HasFlag(Encrypt.Request)) flags |= DecryptAttribute;
        if (_link.EncryptParameters && parameters.HasFlag(Encrypt.Response)) flags |= EncryptAttribute;
        _link.Check(EsysNative.SessionSetAttributes(_link.Esys, _session, flags, 0xFF), "TRSess_SetAttributes");
        return _session;
    }

    /// <summary>
    /// For a command without authorisation: the TPM refuses a session there that does not encrypt either.
    /// </summary>
    public uint ForEncryptionAlone(Encrypt parameters) =>
        _link.EncryptParameters ? For(parameters) : EsysNative.None;

    public void Dispose() => _link.Flush(_session);
}
