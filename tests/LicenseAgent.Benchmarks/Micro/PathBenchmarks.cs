using System.Buffers.Binary;
using System.Collections.Frozen;
using System.Security.Cryptography;
using BenchmarkDotNet.Attributes;
using LicenseAgent.Core;
using LicenseAgent.Daemon;
using LicenseAgent.Daemon.LocalApi.Validation;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.Replay;
using LicenseAgent.Daemon.Secrets;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Benchmarks.Micro;

/// <summary>What the agent does for one validation, step by step and without sockets or disk.</summary>
public class PathBenchmarks
{
    // More than the cache of verified tokens holds, so a token is forgotten before its turn comes again.
    private const int ManyTokens = 1024;

    // As many as 1000 a second leave in the window, and as many pass out of it as come in.
    private const int Remembered = (int)ReplayGuard.WindowMs;
    private const long BootMs = 1_000_000;

    private readonly TokenMint _mint = new();
    private readonly SecretMemory _memory = new(new OsBytes());
    private readonly ReplayGuard _guard = new(rate: 2000, new OsBytes());
    private readonly AuditChain _chain = new(new AuditPoint(0, default), "6b3c1d2e-0000-4000-8000-000000000001");
    private readonly byte[] _line = new byte[AuditFormat.MaxLineBytes];
    private readonly LicenseValidator _validator = new(
        new OsBytes(), Es256.Verify, token => TokenTag.Of("key"u8, token));
    private byte[][] _tokens = [];
    private byte[] _token = [];
    private Moment _at;
    private AuditedValidation _validation;
    private int _next;
    private long _count;

    [GlobalSetup]
    public void Setup()
    {
        _tokens = [.. Enumerable.Range(0, ManyTokens).Select(i => _mint.MintBytes(TokenMint.Claims($"lic-{i:0000}")))];
        _token = _mint.MintBytes(TokenMint.Claims());
        _at = new Moment(Snapshot(), TokenMint.Start, TokenMint.Start);
        _validation = new AuditedValidation(
            1000, 1000, 4711, NextNonce(), TokenTag.Of("key"u8, _token), ValidationReasons.Valid, "lic-1",
            TokenMint.Version);
        for (int i = 0; i < Remembered; i++)
            TokenBenchmarks.Require(Nonce());
        TokenBenchmarks.Require(RepeatedToken() && FirstSight());
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _chain.Dispose();
        _guard.Dispose();
        _memory.Dispose();
        _mint.Dispose();
    }

    [Benchmark]
    public bool RepeatedToken() => _validator.Judge(_token, _at).IsValid;

    [Benchmark]
    public bool FirstSight() => _validator.Judge(_tokens[_next++ % ManyTokens], _at).IsValid;

    [Benchmark]
    public bool Nonce() => _guard.TryAccept(1000, NextNonce(), BootMs + _count) == ReplayVerdict.Accepted;

    /// <summary>The time moves on every 32 records, as it does at 32 000 a second.</summary>
    [Benchmark]
    public int AuditLine()
    {
        long ms = _count++ / 32;
        return _chain.Write(_line, TokenMint.Start + TimeSpan.FromMilliseconds(ms), BootMs + ms, _validation);
    }

    private Nonce16 NextNonce()
    {
        Span<byte> bytes = stackalloc byte[Nonce16.Length];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, _count++);
        return Nonce16.From(bytes);
    }

    private AgentSnapshot Snapshot()
    {
        UtcTime start = TokenMint.Start, end = start + 8 * TokenMint.Day;
        var active = new UsableSecret(
            TokenMint.Version, TokenMint.Kid, SecretState.Active, end, _memory.Keep(_mint.Content), "tpm");
        return new AgentSnapshot(
            TokenMint.AgentId, new TrustedClock(BootMs, start),
            new ModeFacts(null, start + TokenMint.Day, end, start, TokenMint.Day, DegradedAllowed: true),
            new[] { active }.ToFrozenDictionary(secret => secret.Kid), FrozenDictionary<string, UtcTime>.Empty,
            active, HighestVersion: TokenMint.Version,
            KeysetVersion: 1, new[] { KeyValuePair.Create(_mint.ServerKid, _mint.PublicKey) }.ToFrozenDictionary(),
            FrozenSet<string>.Empty, Status(start));
    }

    // Only status calls read it.
    private static SnapshotStatus Status(UtcTime start) => new(
        [], 1,
        new TpmResponse(
            "ok", "swtpm:unix:/x", "IBM", "1.2", 0, 4, 100, 1, 0, "thumb", "0x81018A01", "0x81018A02", "00", null),
        start + TokenMint.Day, start, [], [], new SnapshotClock(ClockWatch.Initial, null, null, null, 0));

    private sealed class OsBytes : IRandomness
    {
        public void Fill(Span<byte> destination) => RandomNumberGenerator.Fill(destination);
    }
}
