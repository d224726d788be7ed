using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace LicensePki;

/// <summary>What <see cref="DevTree.Create"/> makes besides the two authorities.</summary>
public sealed record DevTreeOptions
{
    /// <summary>Names of the license server's certificate besides localhost, 127.0.0.1 and ::1.</summary>
    public IReadOnlyList<string> ServerNames { get; init; } = [];

    /// <summary>Agents that get a client certificate and key now, without enrolling.</summary>
    public IReadOnlyList<string> AgentIds { get; init; } = [];
}

/// <summary>
/// A whole PKI in one directory, for the testbed and for trying things out:
/// <code>
/// ca/server-ca.{crt,key}       signs license servers; agents trust this certificate alone
/// ca/agent-ca.{crt,key}        signs agents; the license server trusts this certificate alone, and holds the key to
/// enrol server/license-server.{crt,key}
/// client/&lt;agent_id&gt;.{crt,key}
/// </code>
/// </summary>
public sealed class DevTree
{
    private const string ServerName = "license-server";
    private static readonly string[] LocalNames = ["localhost", "127.0.0.1", "::1"];

    private const UnixFileMode DirectoryMode =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
        | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    /// <summary>Names the files of a tree; it need not be there yet.</summary>
    public DevTree(string directory) => Root = Path.GetFullPath(directory);

    public string Root { get; }

    public string ServerCaCertificate => Path.Combine(Root, "ca", "server-ca.crt");

    public string ServerCaKey => Path.Combine(Root, "ca", "server-ca.key");

    public string AgentCaCertificate => Path.Combine(Root, "ca", "agent-ca.crt");

    public string AgentCaKey => Path.Combine(Root, "ca", "agent-ca.key");

    public string ServerCertificate => Path.Combine(Root, "server", ServerName + ".crt");

    public string ServerKey => Path.Combine(Root, "server", ServerName + ".key");

    public string AgentCertificate(string agentId) => Path.Combine(Root, "client", agentId + ".crt");

    public string AgentKey(string agentId) => Path.Combine(Root, "client", agentId + ".key");

    /// <summary>Writes a new tree.</summary>
    /// <exception cref="PkiException">The directory already holds one: issued identities are never
    /// overwritten.</exception>
    public static DevTree Create(string directory, DevTreeOptions options, TimeProvider time)
    {
        var tree = new DevTree(directory);
        if (Directory.Exists(Path.Combine(tree.Root, "ca")))
            throw new PkiException($"{tree.Root} already holds a PKI; name another directory or remove it first");
        foreach (var folder in (string[])["", "ca", "server", "client"])
            Directory.CreateDirectory(Path.Combine(tree.Root, folder), DirectoryMode);

        using var servers = CertificateAuthority.Create("License Server CA (development)", time);
        using var agents = CertificateAuthority.Create("License Agent CA (development)", time);
        WriteAuthority(servers, tree.ServerCaCertificate, tree.ServerCaKey);
        WriteAuthority(agents, tree.AgentCaCertificate, tree.AgentCaKey);

        using var serverKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        string[] names = [.. LocalNames.Concat(options.ServerNames).Distinct(StringComparer.OrdinalIgnoreCase)];
        using var server = servers.IssueServer(ServerName, names, serverKey);
        WriteLeaf(server, serverKey, tree.ServerCertificate, tree.ServerKey);
        foreach (var agentId in options.AgentIds) tree.IssueAgent(agents, agentId);
        return tree;
    }

    private void IssueAgent(CertificateAuthority agents, string agentId)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = agents.IssueAgent(AgentCsr.Create(key, agentId), agentId);
        WriteLeaf(certificate, key, AgentCertificate(agentId), AgentKey(agentId));
    }

    private static void WriteAuthority(CertificateAuthority authority, string certificatePath, string keyPath)
    {
        PemFile.WriteKey(keyPath, authority.ExportKeyPem());
        PemFile.WriteCertificate(certificatePath, authority.Certificate);
    }

    private static void WriteLeaf(X509Certificate2 certificate, ECDsa key, string certificatePath, string keyPath)
    {
        PemFile.WriteKey(keyPath, key.ExportPkcs8PrivateKeyPem() + "\n");
        PemFile.WriteCertificate(certificatePath, certificate);
    }
}
