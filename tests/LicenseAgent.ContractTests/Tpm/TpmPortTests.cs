using System.Security.Cryptography;
using LicenseAgent.ContractTests.Contracts;
using LicenseAgent.Daemon.Adapters;
using LicenseAgent.Daemon.Metrics;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Testbed.Tpm;
using LicenseAgent.Tpm;
using Xunit;

namespace LicenseAgent.ContractTests.Tpm;

/// <summary>The contract on swtpm, through the agent's own port onto it.</summary>
public sealed class TpmPortTests : TpmContract
{
    private protected override async Task<TpmBench> StartAsync() =>
        new RealTpm(await SwtpmProcess.StartAsync(SwtpmListen.Unix, TestContext.Current.CancellationToken));

    private sealed class RealTpm(SwtpmProcess swtpm) : TpmBench
    {
        private readonly string _saved = Directory.CreateTempSubdirectory("lsa-tpm-saved-").FullName;
        private TpmPort _port = PortTo(swtpm);

        public override ITpmKeys Keys => _port;

        public override ITpmMemory Memory => _port;

        public override ITpmClock Clock => _port;

        private static CancellationToken Cancel => TestContext.Current.CancellationToken;

        public override bool Verifies(EcPublicJwk key, byte[] digest, byte[] signature)
        {
            using ECDsa ecdsa = ECDsa.Create(new ECParameters
            {
                Curve = ECCurve.NamedCurves.nistP256,
                Q = new ECPoint { X = Bytes(key.X), Y = Bytes(key.Y) },
            });
            return ecdsa.VerifyHash(digest, signature);
        }

        public override string Wrap(RsaPublicJwk key, byte[] secret) => System.Text.Encoding.ASCII.GetString(SecretJwe.Seal(
            key, SecretKid.Format("pos-001", 1), secret, RandomNumberGenerator.GetBytes(12),
            RandomNumberGenerator.GetBytes(32)));

        public override Task PowerCutAsync() => swtpm.RestartAsync(Cancel);

        public override async Task<Func<Task>> SnapshotAsync()
        {
            // What swtpm keeps in its file is all there once nothing is under way.
            await swtpm.RestartAsync(Cancel);
            swtpm.SaveState(_saved);
            return () => swtpm.RestoreStateAsync(_saved, Cancel);
        }

        public override async Task ClearAsync()
        {
            // The emulator takes one client at a time.
            await _port.DisposeAsync();
            using (TpmTools tools = new(swtpm.ToolsTcti))
                await tools.RunAsync("tpm2_clear");
            _port = PortTo(swtpm);
        }

        public override async Task ReplaceAsync()
        {
            await using SwtpmProcess other = await SwtpmProcess.StartAsync(SwtpmListen.Unix, Cancel);
            other.SaveState(_saved);
            await swtpm.RestoreStateAsync(_saved, Cancel);
        }

        public override Task RemoveAsync() => swtpm.KillAsync();

        public override Task ReturnAsync() => swtpm.RestartAsync(Cancel);

        public override async ValueTask DisposeAsync()
        {
            await _port.DisposeAsync();
            await swtpm.DisposeAsync();
            Directory.Delete(_saved, recursive: true);
        }

        private static TpmPort PortTo(SwtpmProcess swtpm) => new(
            new TpmOptions(swtpm.Device), new AgentMetrics(CounterState.Empty, "0.0.0"), TimeProvider.System);

        private static byte[] Bytes(string base64Url) =>
            Base64UrlText.TryDecode(base64Url, out byte[] bytes)
                ? bytes
                : throw new InvalidOperationException($"{base64Url} is no base64url");
    }
}
