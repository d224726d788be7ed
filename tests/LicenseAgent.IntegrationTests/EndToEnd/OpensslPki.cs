using System.Diagnostics;

namespace LicenseAgent.IntegrationTests.EndToEnd;

/// <summary>An authority of operators as its administrators make it: with openssl, in a directory.</summary>
internal sealed class OpensslPki : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lsa-pki-").FullName;

    private OpensslPki()
    {
        File.WriteAllText(PathOf("ca.cnf"), $"""
            [ca]
            default_ca = own
            [own]
            database = {PathOf("index.txt")}
            crlnumber = {PathOf("crlnumber")}
            default_md = sha256
            default_crl_days = 1
            """);
        File.WriteAllText(PathOf("index.txt"), "");
        File.WriteAllText(PathOf("crlnumber"), "01\n");
    }

    public string CaFile => PathOf("ca.pem");

    public string CrlFile => PathOf("operators.crl");

    public string PathOf(string name) => Path.Combine(_folder, name);

    public static async Task<OpensslPki> CreateAsync(CancellationToken cancel)
    {
        OpensslPki pki = new();
        await pki.RunAsync(
            cancel, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=operators", "-keyout", "ca.key", "-out", "ca.pem");
        await pki.WriteCrlAsync(cancel);
        return pki;
    }

    /// <summary>NAME.pem and NAME.key.</summary>
    /// <param name="newKey">What follows <c>-newkey</c>.</param>
    public async Task IssueAsync(string name, string role, string[] newKey, CancellationToken cancel)
    {
        await RunAsync(
            cancel,
            ["req", "-newkey", .. newKey, "-nodes", "-subj", $"/CN={name}", "-keyout", $"{name}.key", "-out",
                $"{name}.csr"]);
        await File.WriteAllTextAsync(
            PathOf($"{name}.ext"),
            $"extendedKeyUsage = clientAuth\nsubjectAltName = URI:license-agent-role:{role}\n", cancel);
        await RunAsync(
            cancel, "x509", "-req", "-in", $"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "1", "-extfile", $"{name}.ext", "-out", $"{name}.pem");
    }

    /// <summary>A certificate of the management server for 127.0.0.1: https.pem and https.key.</summary>
    public Task IssueServerAsync(CancellationToken cancel) => RunAsync(
        cancel, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
        "-subj", "/CN=till", "-addext", "subjectAltName = IP:127.0.0.1", "-keyout", "https.key", "-out", "https.pem");

    public async Task RevokeAsync(string name, CancellationToken cancel)
    {
        await RunAsync(
            cancel, "ca", "-config", "ca.cnf", "-keyfile", "ca.key", "-cert", "ca.pem", "-revoke", $"{name}.pem");
        await WriteCrlAsync(cancel);
    }

    public Task RunAsync(CancellationToken cancel, params string[] arguments) => CheckedAsync(arguments, cancel);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private Task WriteCrlAsync(CancellationToken cancel) => RunAsync(
        cancel, "ca", "-config", "ca.cnf", "-keyfile", "ca.key", "-cert", "ca.pem", "-gencrl", "-out",
        "operators.crl");

    private async Task CheckedAsync(string[] arguments, CancellationToken cancel)
    {
        var start = new ProcessStartInfo("openssl", arguments)
        {
            WorkingDirectory = _folder,
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        using Process openssl = Process.Start(start)!;
        Task<string> output = openssl.StandardOutput.ReadToEndAsync(cancel);
        string said = await openssl.StandardError.ReadToEndAsync(cancel);
        await output;
        await openssl.WaitForExitAsync(cancel);
        if (openssl.ExitCode != 0)
            throw new InvalidOperationException($"openssl {string.Join(' ', arguments)}: {said}");
    }
}
