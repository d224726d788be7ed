using System.ComponentModel;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using LicenseAgent.Benchmarks.Till;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.Testbed.Baselines;
using LicenseAgent.Testbed.Processes;
using LicenseAgent.Testbed.Tills;
using LicenseServer.Keys;

namespace LicenseAgent.Benchmarks.Peers;

/// <summary>The agent beside what it can be compared with, in one run, in alternating rounds.</summary>
internal sealed class PeerRun : IAsyncDisposable
{
    private const string Note = """
        One client thread on the same machine, 8 keep-alive connections with one request open each, then one alone;
        median of 5 alternating rounds. ssh-agent makes an ECDSA P-256 signature over 32 bytes for each request. The Node
        daemon opens and verifies each token anew with npm's jose, and keeps neither nonces nor a log; the agent, for
        a token that it has verified before, looks up everything that can change and writes nonce and audit record.
        """;

    private static readonly TimeSpan s_warmUp = TimeSpan.FromSeconds(1);

    private readonly EnrolledTill _till;
    private readonly List<ChildProcess> _processes = [];
    private readonly List<Peer> _peers = [];

    private PeerRun(EnrolledTill till) => _till = till;

    public static async Task RunAsync(TimeSpan round, CancellationToken cancel)
    {
        Say("starting swtpm, license server and agent; enrolling");
        await using EnrolledTill till = await EnrolledTill.OpenAsync(new EnrolledTillSettings(new ServerSettings()), cancel);
        await using PeerRun run = new(till);
        await run.OpenAsync((await till.IssueAsync(1, TimeSpan.FromDays(365)))[0], cancel);
        foreach (Peer peer in run._peers)
            peer.WarmUp(s_warmUp, cancel);
        for (int i = 1; i <= Rounds.Count; i++)
        {
            Say(string.Create(CultureInfo.InvariantCulture, $"round {i} of {Rounds.Count}"));
            foreach (Peer peer in run._peers)
                peer.Measure(round, cancel);
        }

        run.Print(Console.Out);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (ChildProcess process in _processes)
            await process.DisposeAsync();
    }

    private async Task OpenAsync(string token, CancellationToken cancel)
    {
        PosConnection Pos(string socket, bool mustBeValid)
        {
            PosConnection connection = new(socket, token);
            connection.Learn(mustBeValid);
            return connection;
        }

        using PosConnection shape = Pos(_till.PosSocket, mustBeValid: true);
        string raw = Scratch("raw.sock"), empty = _till.EmptySocket, node = Scratch("node.sock"), ssh = Scratch("ssh.sock");
        string own = ChildProcess.PathOf("LicenseAgent.Benchmarks");
        await StartAsync(own, [RawAnswer.Command, raw, Text(shape.RequestLength), Text(shape.AnswerLength)], RawAnswer.Ready, cancel);
        await StartAsync(own, [EmptyHandler.Command, empty, Text(shape.BodyLength)], EmptyHandler.Ready, cancel);
        await StartAsync("node", [Jose("daemon.mjs"), node, NodeKeys()], "node_daemon_ready", cancel);
        await StartSshAgentAsync(ssh, cancel);

        _peers.Add(new Peer("raw Unix socket, fixed answer", () => Pos(raw, mustBeValid: false)));
        _peers.Add(new Peer("empty Kestrel handler", () => Pos(empty, mustBeValid: false)));
        _peers.Add(new Peer("license-agent", () => Pos(_till.PosSocket, mustBeValid: true)));
        _peers.Add(new Peer("ssh-agent, one signature", () => new SshSigner(ssh)));
        _peers.Add(new Peer("Node daemon with jose", () => Pos(node, mustBeValid: true)));
    }

    private async Task StartAsync(string program, IEnumerable<string> arguments, string ready, CancellationToken cancel)
    {
        try
        {
            ChildProcess process = await ChildProcess.StartAsync(program, arguments);
            _processes.Add(process);
            await process.WaitForLineAsync(ready, cancel);
        }
        catch (Win32Exception e)
        {
            throw new InvalidOperationException(
                $"{program} does not start ({e.Message}): install nodejs and openssh-client, and run tests/interop/install.", e);
        }
    }

    private async Task StartSshAgentAsync(string socket, CancellationToken cancel)
    {
        string key = Scratch("ssh.key");
        await StepAsync("ssh-keygen", ["-q", "-t", "ecdsa", "-b", "256", "-N", "", "-f", key], null, cancel);
        await StartAsync("ssh-agent", ["-D", "-a", socket], "SSH_AUTH_SOCK", cancel);
        await StepAsync("ssh-add", ["-q", key], new Dictionary<string, string> { ["SSH_AUTH_SOCK"] = socket }, cancel);
    }

    private static async Task StepAsync(
        string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment,
        CancellationToken cancel)
    {
        await using ChildProcess process = await ChildProcess.StartAsync(program, arguments, environment);
        int code = await process.ExitCodeAsync(cancel);
        if (code != 0)
            throw new InvalidOperationException($"{program} ended with {code}: {process.Said}");
    }

    /// <summary>What the Node daemon needs: the agent's first secret and the public key that licenses are signed by.</summary>
    private string NodeKeys()
    {
        string path = Path.Combine(_till.ServerData, "keys.json");
        KeyFile file = KeyFile.Read(path);
        using ServerKeys keys = new(file, path);
        byte[] secret = new byte[ServerKeys.SecretLength];
        keys.DeriveSecret(EnrolledTill.Name, 1, keys.CurrentEpoch, secret);
        using ECDsa signer = ECDsa.Create();
        signer.ImportPkcs8PrivateKey(
            Pkcs8(file.SigningKeys.First(key => key.Scope == KeyScopes.License)), out _);
        EcPublicJwk jwk = EcPublicJwk.From(signer);
        JsonObject given = new()
        {
            ["agent"] = EnrolledTill.Name,
            ["kid"] = EnrolledTill.Name + ".v1",
            ["secret"] = Base64UrlText.Encode(secret),
            ["jwk"] = new JsonObject { ["kty"] = jwk.Kty, ["crv"] = jwk.Crv, ["x"] = jwk.X, ["y"] = jwk.Y },
        };
        string to = Scratch("node-keys.json");
        File.WriteAllText(to, given.ToJsonString());
        return to;
    }

    private static byte[] Pkcs8(SigningKeyEntry key) => Base64UrlText.TryDecode(key.Pkcs8, out byte[] bytes)
        ? bytes
        : throw new InvalidOperationException("The license server's key file holds a key that is not base64url.");

    private static string Jose(string script)
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            string path = Path.Combine(at.FullName, "tests", "interop", script);
            if (File.Exists(path))
            {
                return Directory.Exists(Path.Combine(at.FullName, "tests", "interop", "node_modules"))
                    ? path
                    : throw new InvalidOperationException("npm's jose is not installed: run tests/interop/install.");
            }
        }

        throw new InvalidOperationException($"No tests/interop above {AppContext.BaseDirectory}: run it from a clone.");
    }

    private void Print(TextWriter to)
    {
        Peer agent = _peers.Single(peer => peer.Name == "license-agent");
        to.WriteLine();
        to.WriteLine($"{"PEER",-32} {"8 CONNECTIONS",14} {"ONE, P50",12} {"P99",12} {"AGENT / IT",11}");
        foreach (Peer peer in _peers)
        {
            to.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{peer.Name,-32} {peer.PerSecond,11:0} /s {peer.P50,9:0.0} us {peer.P99,9:0.0} us {agent.PerSecond / peer.PerSecond,11:0.00}"));
        }

        to.WriteLine();
        to.WriteLine(Note);
    }

    private string Scratch(string name) => Path.Combine(_till.Scratch, name);

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static void Say(string what) => Console.Error.WriteLine("- " + what);
}
