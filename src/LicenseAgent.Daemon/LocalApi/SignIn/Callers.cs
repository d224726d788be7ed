using System.Security.Cryptography.X509Certificates;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.LocalApi.Operators;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Local;

namespace LicenseAgent.Daemon.LocalApi.SignIn;

/// <summary>Who a management call comes from.</summary>
/// <param name="Role">What the caller may do: the lower of UID's and certificate's.</param>
/// <param name="Certificate">Set where a certificate stands behind the call.</param>
/// <param name="Refusal">Set where the caller is nobody for every call but those that begin a session.</param>
internal readonly record struct Caller(Role Role, OperatorIdentity? Certificate, Problem? Refusal);

/// <summary>
/// Looks callers up, at every call, in the configuration that holds now. A certificate narrows what a UID may do and
/// never widens it.
/// </summary>
internal sealed class Callers(ManagementConfig config, Sessions sessions)
{
    private const string BearerScheme = "Bearer ";

    private volatile Table _table = new(config);

    /// <summary><see langword="null"/> where no authority is configured.</summary>
    public OperatorAuthority? Authority => _table.Authority;

    public void Use(ManagementConfig replaced) => _table = new Table(replaced);

    public Role OfUid(uint uid) => _table.Roles.Of(uid);

    public Caller Of(in LocalCall call, UtcTime trustedNow)
    {
        Table table = _table;
        if (call.Certificate is { } certificate)
            return OfCertificate(Judge(certificate, call.Intermediates ?? [], trustedNow));
        Role role = table.Roles.Of(call.Peer.Uid);
        if (call.Authorization is { } authorization)
        {
            // What is sent counts: a session that has ended is never passed over in favour of the UID alone.
            return Session(call.Peer.Uid, authorization) is { } signedIn
                ? new Caller(Lower(role, signedIn.Role), signedIn, null)
                : new Caller(Role.None, null, Problems.SessionEnded);
        }
        return table.RequireCertificate
            ? new Caller(Role.None, null, Problems.CertificateRequired)
            : new Caller(role, null, null);
    }

    public Judgement Judge(
        X509Certificate2 certificate, X509Certificate2Collection others, UtcTime trustedNow) =>
        _table.Authority?.Judge(certificate, others, trustedNow)
        ?? new Judgement(null, "management.ca_cert is not set.");

    public static Role Lower(Role one, Role other) => one < other ? one : other;

    private OperatorIdentity? Session(uint uid, string authorization) =>
        authorization.StartsWith(BearerScheme, StringComparison.Ordinal)
            ? sessions.Find(uid, authorization[BearerScheme.Length..])
            : null;

    private static Caller OfCertificate(Judgement judged) => judged.Operator is { } who
        ? new Caller(who.Role, who, null)
        : new Caller(Role.None, null, Problems.SignInRefused(judged.Refusal!));

    private sealed class Table(ManagementConfig config)
    {
        public Roles Roles { get; } = new(config);

        public bool RequireCertificate { get; } = config.RequireCertificate;

        // The configuration has been read with it once already, so it reads.
        public OperatorAuthority? Authority { get; } =
            config.CaPem is { } ca ? OperatorAuthority.Read(ca, config.Crl) : null;
    }
}
