using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace LicensePki;

/// <summary>One thing wrong with one file of a tree.</summary>
public sealed record Finding(string Path, string Fact);

/// <summary>Checks a whole tree: chains, usages, names, key pairs, file modes, expiry.</summary>
public static class TreeVerification
{
    private static readonly TimeSpan ExpiryNotice = TimeSpan.FromDays(14);

    private const UnixFileMode WritableByOthers = UnixFileMode.GroupWrite | UnixFileMode.OtherWrite;

    /// <returns>Everything found wrong; empty for a sound tree.</returns>
    public static IReadOnlyList<Finding> Verify(string directory, TimeProvider time)
    {
        var tree = new DevTree(directory);
        var run = new Run(time.GetUtcNow());
        using var servers = run.CheckAuthority(tree.ServerCaCertificate, tree.ServerCaKey);
        using var agents = run.CheckAuthority(tree.AgentCaCertificate, tree.AgentCaKey);
        run.CheckFolder(Path.Combine(tree.Root, "ca"));
        run.CheckLeaves(Path.Combine(tree.Root, "server"), servers, CertificateAuthority.ServerAuth, required: true);
        run.CheckLeaves(Path.Combine(tree.Root, "client"), agents, CertificateAuthority.ClientAuth, required: false);
        return run.Findings;
    }

    private sealed class Run(DateTimeOffset now)
    {
        private readonly List<Finding> _findings = [];

        public IReadOnlyList<Finding> Findings => _findings;

        public X509Certificate2? CheckAuthority(string certificatePath, string keyPath)
        {
            var certificate = Read(certificatePath);
            if (certificate is null) return null;
            CheckPair(certificate, certificatePath, keyPath);
            CheckChain(certificate, certificatePath, certificate, usage: null);
            CheckDates(certificate, certificatePath);
            var constraints = certificate.Extensions.OfType<X509BasicConstraintsExtension>().FirstOrDefault();
            if (constraints is not { CertificateAuthority: true, Critical: true })
                Add(certificatePath, "is not marked as a certificate authority");
            var usage = certificate.Extensions.OfType<X509KeyUsageExtension>().FirstOrDefault();
            if (usage is null || !usage.KeyUsages.HasFlag(X509KeyUsageFlags.KeyCertSign))
                Add(certificatePath, "may not sign certificates (key usage)");
            return certificate;
        }

        public void CheckFolder(string folder)
        {
            if (!Directory.Exists(folder)) Add(folder, "is missing");
            else if ((File.GetUnixFileMode(folder) & WritableByOthers) != 0) Add(folder, "is writable by others");
        }

        public void CheckLeaves(string folder, X509Certificate2? authority, string usage, bool required)
        {
            CheckFolder(folder);
            if (!Directory.Exists(folder)) return;
            string[] certificates = [.. Directory.GetFiles(folder, "*.crt").Order(StringComparer.Ordinal)];
            if (required && certificates.Length == 0) Add(folder, "holds no certificate");
            foreach (var path in certificates) CheckLeaf(path, authority, usage);
            foreach (var key in Directory.GetFiles(folder, "*.key").Order(StringComparer.Ordinal))
            {
                if (!File.Exists(Path.ChangeExtension(key, ".crt"))) Add(key, "is a key without a certificate");
            }
        }

        private void CheckLeaf(string path, X509Certificate2? authority, string usage)
        {
            using var certificate = Read(path);
            if (certificate is null) return;
            CheckPair(certificate, path, Path.ChangeExtension(path, ".key"));
            CheckDates(certificate, path);
            if (authority is null) Add(path, "cannot be checked against its authority, which is missing");
            else CheckChain(certificate, path, authority, usage);
            CheckUsage(certificate, path, usage);
            CheckNames(certificate, path, usage);
        }

        private void CheckPair(X509Certificate2 certificate, string path, string keyPath)
        {
            if (!File.Exists(keyPath))
            {
                Add(keyPath, "is missing");
                return;
            }

            if (File.GetUnixFileMode(keyPath) != DurableFile.KeyMode) Add(keyPath, "has a mode other than 0600");
            if ((File.GetUnixFileMode(path) & WritableByOthers) != 0) Add(path, "is writable by others");
            try
            {
                using var key = PemFile.ReadKey(keyPath);
                if (!PemFile.IsKeyOf(key, certificate)) Add(keyPath, "is not the key of " + path);
            }
            catch (PkiException error)
            {
                Add(keyPath, error.Message);
            }
        }

        // Dates are judged apart (CheckDates), so that an expired certificate is one finding and not two.
        private void CheckChain(X509Certificate2 certificate, string path, X509Certificate2 authority, string? usage)
        {
            using var chain = new X509Chain();
            chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
            chain.ChainPolicy.CustomTrustStore.Add(authority);
            chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
            chain.ChainPolicy.DisableCertificateDownloads = true;
            chain.ChainPolicy.VerificationFlags = X509VerificationFlags.IgnoreNotTimeValid;
            if (usage is not null) chain.ChainPolicy.ApplicationPolicy.Add(new Oid(usage));
            if (chain.Build(certificate)) return;
            var reasons = chain.ChainStatus.Select(status => status.Status)
                .Where(status => status != X509ChainStatusFlags.NotTimeValid);
            Add(path, "does not chain to its authority: " + string.Join(", ", reasons));
        }

        private void CheckDates(X509Certificate2 certificate, string path)
        {
            if (now < certificate.NotBefore) Add(path, $"is not valid before {certificate.NotBefore:u}");
            else if (now > certificate.NotAfter) Add(path, $"expired {certificate.NotAfter:u}; issue a new one");
            else if (now > certificate.NotAfter - ExpiryNotice) Add(path, $"expires {certificate.NotAfter:u}");
        }

        private void CheckUsage(X509Certificate2 certificate, string path, string usage)
        {
            var usages = certificate.Extensions.OfType<X509EnhancedKeyUsageExtension>()
                .SelectMany(extension => extension.EnhancedKeyUsages.Cast<Oid>()).Select(oid => oid.Value);
            if (!usages.SequenceEqual([usage])) Add(path, $"does not have the one extended key usage {usage}");
        }

        private void CheckNames(X509Certificate2 certificate, string path, string usage)
        {
            var names = AlternativeNames.Read(certificate.Extensions);
            if (usage == CertificateAuthority.ServerAuth)
            {
                if (!names.Any(name => name.Kind is NameKind.Dns or NameKind.Address))
                    Add(path, "names no DNS name and no address");
                return;
            }

            var agentId = Path.GetFileNameWithoutExtension(path);
            if (AlternativeNames.AgentIdOf(certificate) != agentId)
                Add(path, $"does not name exactly URI:license-agent:{agentId}");
        }

        private X509Certificate2? Read(string path)
        {
            try
            {
                return PemFile.ReadCertificate(path);
            }
            catch (PkiException error)
            {
                Add(path, error.Message);
                return null;
            }
        }

        private void Add(string path, string fact) => _findings.Add(new Finding(path, fact));
    }
}
