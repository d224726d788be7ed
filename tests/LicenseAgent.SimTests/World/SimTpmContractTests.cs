using LicenseAgent.ContractTests.Contracts;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.World;
using LicenseAgent.Tpm;

namespace LicenseAgent.SimTests.World;

/// <summary>The simulated TPM is held to what swtpm is held to.</summary>
public sealed class SimTpmContractTests : TpmContract
{
    private protected override Task<TpmBench> StartAsync(bool ill = false) => Task.FromResult<TpmBench>(new BenchTpm());

    private sealed class BenchTpm : TpmBench, ITpmKeys, ITpmMemory, ITpmClock
    {
        private readonly SimTpm _tpm;
        private PortBench _bench = new();
        private TpmPorts _ports;

        public BenchTpm()
        {
            _tpm = new SimTpm(_bench.Loop, _bench.Chance, SimRandom.Of(1, "bench", "late"));
            _ports = new TpmPorts(_bench.Life, _tpm, _bench.Chance);
        }

        public override ITpmKeys Keys => this;

        public override ITpmMemory Memory => this;

        public override ITpmClock Clock => this;

        public override bool Verifies(EcPublicJwk key, byte[] digest, byte[] signature) =>
            StandInCrypto.SignDigest(key, digest).AsSpan().SequenceEqual(signature);

        public override string Wrap(RsaPublicJwk key, byte[] secret) =>
            StandInCrypto.Wrap(key, SecretKid.Format("pos-001", 1), secret, _bench.Chance);

        public override Task PowerCutAsync()
        {
            _tpm.PowerDown(orderly: false);
            _tpm.PowerUp();
            return Task.CompletedTask;
        }

        public override Task<Func<Task>> SnapshotAsync()
        {
            TpmImage image = _tpm.Snapshot();
            return Task.FromResult<Func<Task>>(() => Done(() => _tpm.Restore(image)));
        }

        public override Task ClearAsync() => Done(_tpm.Clear);

        public override Task ReplaceAsync() => Done(_tpm.Replace);

        public override Task RemoveAsync() => Done(() => _tpm.Troubles.Absent = true);

        public override Task ReturnAsync() => Done(_tpm.Troubles.Ease);

        public override Task AilAsync(TpmAilment what) => Done(() =>
        {
            _tpm.Troubles.Ease();
            _tpm.Troubles.Lockout = what == TpmAilment.Lockout;
            _tpm.Troubles.SlowUs = what == TpmAilment.Hung ? long.MaxValue / 2 : 0;
        });

        public override async Task CutAtSlotAsync(int parity, NvSlot slot, bool written)
        {
            Task write = _ports.WriteSlotAsync(parity, slot, default);
            if (written)
            {
                await _bench.Settle(write);
            }

            // The process goes with the power, and the next one has ports of its own.
            _bench.Life.Kill(_bench.Chance);
            await PowerCutAsync();
            _bench = new PortBench(_bench.Loop);
            _ports = new TpmPorts(_bench.Life, _tpm, _bench.Chance);
        }

        public override Task TearSlotAsync(int parity, NvSlot was, NvSlot next, int bytes, byte[] auth) => Done(
            () => _tpm.WriteSlot(parity, [.. next.ToBytes()[..bytes], .. was.ToBytes()[bytes..]]));

        public override ValueTask DisposeAsync() => ValueTask.CompletedTask;

        public Task<TpmBirth> ProvisionAsync(
            ReadOnlyMemory<byte> keyAuth, string? ownerAuth, bool replace, CancellationToken cancel) =>
            _bench.Settle(_ports.ProvisionAsync(keyAuth, ownerAuth, replace, cancel));

        public Task<TpmFacts> OpenAsync(TpmAnchor anchor, CancellationToken cancel) =>
            _bench.Settle(_ports.OpenAsync(anchor, cancel));

        public Task<byte[]> SignAsync(ReadOnlyMemory<byte> digest, CancellationToken cancel) =>
            _bench.Settle(_ports.SignAsync(digest, cancel));

        public Task<int> UnwrapAsync(ReadOnlyMemory<byte> cipher, Memory<byte> plain, CancellationToken cancel) =>
            _bench.Settle(_ports.UnwrapAsync(cipher, plain, cancel));

        public Task<long> ReadCounterAsync(CancellationToken cancel) => _bench.Settle(_ports.ReadCounterAsync(cancel));

        public Task<long> IncrementCounterAsync(CancellationToken cancel) =>
            _bench.Settle(_ports.IncrementCounterAsync(cancel));

        public Task<NvSlot?> ReadSlotAsync(int parity, CancellationToken cancel) =>
            _bench.Settle(_ports.ReadSlotAsync(parity, cancel));

        public Task WriteSlotAsync(int parity, NvSlot slot, CancellationToken cancel) =>
            _bench.Settle(_ports.WriteSlotAsync(parity, slot, cancel));

        public Task<NvMirror?> ReadMirrorAsync(CancellationToken cancel) =>
            _bench.Settle(_ports.ReadMirrorAsync(cancel));

        public Task WriteMirrorAsync(NvMirror mirror, CancellationToken cancel) =>
            _bench.Settle(_ports.WriteMirrorAsync(mirror, cancel));

        public Task<TpmClockReading> ReadClockAsync(CancellationToken cancel) =>
            _bench.Settle(_ports.ReadClockAsync(cancel));

        public Task GetRandomAsync(Memory<byte> destination, CancellationToken cancel) =>
            _bench.Settle(_ports.GetRandomAsync(destination, cancel));

        private static Task Done(Action change)
        {
            change();
            return Task.CompletedTask;
        }
    }
}
