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
    private protected override async Task<TpmBench> StartAsync(bool ill = false)
    {
        SwtpmProcess swtpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, TestContext.Current.CancellationToken);
        return new RealTpm(swtpm, ill ? TpmProxy.Start(swtpm) : null);
    }

    /// <param name="bus">Between port and TPM, of one that is to be ill.</param>
    private sealed class RealTpm(SwtpmProcess swtpm, TpmProxy? bus) : TpmBench
    {
        // Long enough that a slow machine answers in it, short enough to wait for.
        private static readonly TimeSpan s_short = TimeSpan.FromSeconds(3);

        private readonly string _saved = Directory.CreateTempSubdirectory("lsa-tpm-saved-").FullName;
        private TpmPort _port = PortTo(bus?.Device ?? swtpm.Device, bus is null ? null : s_short);

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
            _port = PortTo(swtpm.Device, null);
        }

        public override async Task ReplaceAsync()
        {
            await using SwtpmProcess other = await SwtpmProcess.StartAsync(SwtpmListen.Unix, Cancel);
            other.SaveState(_saved);
            await swtpm.RestoreStateAsync(_saved, Cancel);
        }

        public override Task RemoveAsync() => swtpm.KillAsync();

        public override Task ReturnAsync() => swtpm.RestartAsync(Cancel);

        public override Task AilAsync(TpmAilment what) => TpmProxy.TellAsync(
            bus!.FaultsPath,
            what switch
            {
                TpmAilment.Lockout => Refused("Sign", "RSA_Decrypt", "NV_Increment"),
                TpmAilment.Hung => """[{"on":"*","times":0,"fault":"hang"}]""",
                _ => "[]",
            },
            Cancel);

        public override async Task CutAtSlotAsync(int parity, NvSlot slot, bool written)
        {
            TpmFault moment = written ? TpmFault.CallAfter : TpmFault.CallBefore;
            ActiveTpmRule cut = bus!.Add(
                new TpmRule { On = TpmCommand.NvWrite, Fault = moment }, _ => swtpm.KillAsync());

            // Whether its answer still comes is nothing to rely on.
            await Record.ExceptionAsync(() => _port.WriteSlotAsync(parity, slot, Cancel));
            Assert.True(cut.Reached.IsCompletedSuccessfully);
            bus.Heal();
            await swtpm.RestartAsync(Cancel);
            await UntilItAnswersAsync();
        }

        public override async Task TearSlotAsync(int parity, NvSlot was, NvSlot next, int bytes, byte[] auth)
        {
            using TpmTools tools = new(bus!.ToolsTcti);
            await File.WriteAllBytesAsync(tools.PathOf("torn"), next.ToBytes()[..bytes], Cancel);
            string index = $"0x{NvLayout.SlotIndex(parity):x}";
            await tools.RunAsync(
                "tpm2_nvwrite", index, "-C", index, "-P", "hex:" + Convert.ToHexStringLower(auth), "-i", tools.PathOf("torn"));
        }

        public override async ValueTask DisposeAsync()
        {
            await _port.DisposeAsync();
            if (bus is not null)
                await bus.DisposeAsync();
            await swtpm.DisposeAsync();
            Directory.Delete(_saved, recursive: true);
        }

        // 0x921 is TPM_RC_LOCKOUT.
        private static string Refused(params string[] commands) => $"[{string.Join(',', commands.Select(
            c => $$"""{"on":"{{c}}","times":0,"fault":"answer","rc":2337}"""))}]";

        // The bus notices the death of the TPM by itself, and its client with it.
        private async Task UntilItAnswersAsync()
        {
            while (await Record.ExceptionAsync(() => _port.ReadClockAsync(Cancel)) is TpmUnavailableException)
                Cancel.ThrowIfCancellationRequested();
        }

        private static TpmPort PortTo(string device, TimeSpan? commandMax)
        {
            TpmOptions options = new(device);
            return new TpmPort(
                commandMax is { } max ? options with { CommandTimeout = max } : options,
                new AgentMetrics(CounterState.Empty, "0.0.0"), TimeProvider.System);
        }

        private static byte[] Bytes(string base64Url) =>
            Base64UrlText.TryDecode(base64Url, out byte[] bytes)
                ? bytes
                : throw new InvalidOperationException($"{base64Url} is no base64url");
    }
}
