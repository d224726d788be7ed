using System.Collections.Frozen;
using LicenseAgent.Daemon.Audit;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.Secrets;
using LicenseAgent.Daemon.State;
using LicenseAgent.Daemon.Upstream;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Daemon.Loop;

/// <summary>
/// What the loop and its activities share: the audit log, and what exists only once the till has an identity, its
/// server, secrets and revocations. Owned by the loop's thread, but for the log and the way to the server.
/// </summary>
internal sealed class Till(
    ProtectedMemory memory, AuditLog audit, AuditReader auditReader, ServerConfig upstream) : IDisposable
{
    private volatile ServerConfig _upstream = upstream;
    private AuditPoint? _witnessed;

    public SecretMemory Memory { get; } = memory.Secrets;

    /// <summary>What keeps secrets inside this process, as found at start.</summary>
    public IReadOnlyList<Protection> Protections { get; } = memory.Protections;

    /// <summary>The log: an unnamed chain before enrolment, this till's afterwards. Any thread.</summary>
    public AuditLog Audit { get; } = audit;

    public AuditReader AuditReader { get; } = auditReader;

    /// <summary>How the server is reached by the configuration in force; a reload sets it from any thread.</summary>
    public ServerConfig Upstream
    {
        get => _upstream;
        set => _upstream = value;
    }

    public AgentFile? Agent { get; set; }

    public TrustedServer? Server { get; set; }

    /// <summary>The keyset pin <see cref="Server"/> was made from.</summary>
    public KeysetPin? Adopted { get; set; }

    public SecretStore? Secrets { get; set; }

    /// <summary>Versions of the software keys; only where they are on.</summary>
    public SecretStore? Software { get; set; }

    /// <summary>Public halves of the software keys on disk.</summary>
    public AgentKeyPair? FallbackKeys { get; set; }

    public Exchanger? Exchanger { get; set; }

    public FrozenSet<string> RevokedLicenses { get; private set; } = FrozenSet<string>.Empty;

    public TpmFacts? TpmFacts { get; set; }

    /// <summary>The last audit record the server countersigned; set by the loop, read by any thread.</summary>
    public AuditPoint? Witnessed
    {
        get => Volatile.Read(ref _witnessed);
        set => Volatile.Write(ref _witnessed, value);
    }

    public ServerConnection? Connection { get; set; }

    /// <summary><c>notAfter</c> of the certificate this till shows to the server.</summary>
    public UtcTime? CertificateExpiry => Connection?.Certificate?.NotAfter;

    public void Revoke(RevocationList list) =>
        RevokedLicenses = list.LicenseIds.ToFrozenSet(StringComparer.Ordinal);

    public void Dispose()
    {
        Secrets?.Dispose();
        Software?.Dispose();
        Memory.Dispose();
    }
}
