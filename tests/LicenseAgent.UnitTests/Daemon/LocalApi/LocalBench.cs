using System.Buffers;
using System.Collections.Frozen;
using System.Security.Cryptography;
using LicenseAgent.Core;
using LicenseAgent.Daemon;
using LicenseAgent.Daemon.LocalApi;
using LicenseAgent.Daemon.LocalApi.Validation;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.Secrets;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Tokens;

namespace LicenseAgent.UnitTests.Daemon.LocalApi;

/// <summary>
/// An enrolled agent's snapshot made by hand, with real keys: pos-001 holds v5 GRACE, v6 ACTIVE, v7 PENDING; v8 was
/// given out and lost. A license server's keys to mint with. Time stands still until a test moves it.
/// </summary>
internal sealed class LocalBench : IDisposable
{
    public const string AgentId = "pos-001";
    public static readonly UtcTime Start = new(1_900_000_000_000);
    public static readonly TimeSpan Day = TimeSpan.FromDays(1);

    private readonly Dictionary<string, byte[]> _contentKeys = [];
    private readonly ECDsa _serverKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public LocalBench()
    {
        Memory = new SecretMemory(new OsBytes());
        EcPublicJwk server = EcPublicJwk.From(_serverKey);
        ServerKid = server.Thumbprint().ToString();
        ServerKey = server;
        UsableSecret grace = Secret(5, SecretState.Grace, Start + 2 * Day);
        UsableSecret active = Secret(6, SecretState.Active, Start + 8 * Day);
        UsableSecret pending = Secret(7, SecretState.Pending, Start + 9 * Day);
        Snapshot = new AgentSnapshot(
            AgentId, new TrustedClock(Clock.BootMs, Start),
            new ModeFacts(null, Start + Day, active.End, Start, Day, DegradedAllowed: true),
            new[] { grace, active, pending }.ToFrozenDictionary(secret => secret.Kid),
            FrozenDictionary<string, UtcTime>.Empty, active, HighestVersion: 8,
            KeysetVersion: 3, new[] { KeyValuePair.Create(ServerKid, server) }.ToFrozenDictionary(),
            new[] { "revoked-license" }.ToFrozenSet(), Status());
    }

    public SecretMemory Memory { get; }

    public StandingClock Clock { get; } = new() { BootMs = 1_000_000 };

    public StandingTime Time { get; } = new(Start);

    public AgentSnapshot Snapshot { get; set; }

    public string ServerKid { get; }

    public EcPublicJwk ServerKey { get; }

    public int Verifications { get; private set; }

    public Es256Verify CountingVerify => (key, data, signature) =>
    {
        Verifications++;
        return Es256.Verify(key, data, signature);
    };

    /// <summary>Time passes, and the loop has taken its steps meanwhile.</summary>
    public void Pass(long ms)
    {
        TrustedClock clock = Snapshot.Clock;
        Clock.BootMs += ms;
        Snapshot = Snapshot with
        {
            Clock = new TrustedClock(Clock.BootMs, clock.Floor + TimeSpan.FromMilliseconds(ms)),
        };
    }

    public Moment Now => new(Snapshot, Snapshot.Clock.At(Clock.BootMs), Time.Now);

    public static TokenTagger Tag => token => TokenTag.Of("key"u8, token);

    public LicenseValidator Validator() => new(new OsBytes(), CountingVerify, Tag);

    public LocalContext Context(LocalJournal journal) => new(() => Snapshot, Clock, Time, journal);

    public static LicenseClaims Claims(string license = "lic-1", params string[] audience) => new(
        "license.example", license, audience.Length == 0 ? [AgentId] : audience, "jti-1", Start.UnixSeconds - 60,
        Start.UnixSeconds - 60, (Start + 30 * Day).UnixSeconds, "till", ["sale", "re\"turn"],
        new Dictionary<string, string> { ["shop"] = "Zürich <1>", ["tier"] = "" });

    public byte[] Mint(LicenseClaims claims, long version = 6, string agent = AgentId, ECDsa? signer = null)
    {
        string kid = SecretKid.Format(agent, version);
        using var gcm = new AesGcm(ContentKey(kid), 16);
        return Ascii(LicenseToken.Mint(
            claims, ServerKid, kid, gcm, RandomNumberGenerator.GetBytes(12),
            data => Es256.Sign(signer ?? _serverKey, data)));
    }

    /// <summary>Anything at all, rightly encrypted for a version.</summary>
    public byte[] Wrap(ReadOnlySpan<byte> inner, long version = 6)
    {
        string kid = SecretKid.Format(AgentId, version);
        using var gcm = new AesGcm(ContentKey(kid), 16);
        return Ascii(LicenseToken.Rewrap(inner, kid, gcm, RandomNumberGenerator.GetBytes(12)));
    }

    public byte[] SignedBy(ECDsa key, string kid, ReadOnlySpan<byte> payload) =>
        CompactJws.Create(new JwsHeader(kid, JoseTypes.LicenseJwt), payload, data => Es256.Sign(key, data));

    public byte[] Signed(ReadOnlySpan<byte> payload) => SignedBy(_serverKey, ServerKid, payload);

    public void Dispose()
    {
        Memory.Dispose();
        _serverKey.Dispose();
    }

    private byte[] ContentKey(string kid)
    {
        if (!_contentKeys.TryGetValue(kid, out byte[]? key))
            _contentKeys.Add(kid, key = RandomNumberGenerator.GetBytes(32));
        return key;
    }

    private UsableSecret Secret(long version, SecretState state, UtcTime end)
    {
        string kid = SecretKid.Format(AgentId, version);
        return new UsableSecret(version, kid, state, end, Memory.Keep(ContentKey(kid)), "tpm");
    }

    private static byte[] Ascii(string text) => System.Text.Encoding.ASCII.GetBytes(text);

    private static SnapshotStatus Status() => new(
        [View(5, "GRACE", Start + 2 * Day), View(6, "ACTIVE", Start + 8 * Day), View(7, "PENDING", Start + 9 * Day)],
        1,
        new TpmResponse(
            "ok", "swtpm:unix:/x", "IBM", "1.2", 0, 4, 100, 1, 0, "thumb", "0x81018A01", "0x81018A02", "00", null),
        Start + Day, Start, [new AlertView("clock_rollback", "warning", Start, "Set the clock.")],
        [new ProtectionView("memory_locked", true, "secret pages are kept out of swap", null)],
        new SnapshotClock(ClockWatch.Initial, null, null, null, 0));

    private static SecretView View(long version, string state, UtcTime graceUntil) => new(
        version, state, Kcv.From(new byte[8]), Start - Day, Start - Day, Start + Day, graceUntil);
}

internal sealed class StandingClock : IBootClock
{
    public string BootId => "6b3c1d2e-0000-4000-8000-000000000001";

    public long BootMs { get; set; }

    public long AwakeMs => BootMs;
}

internal sealed class StandingTime(UtcTime now) : TimeProvider
{
    public UtcTime Now { get; set; } = now;

    public override DateTimeOffset GetUtcNow() => DateTimeOffset.FromUnixTimeMilliseconds(Now.UnixMs);
}

internal sealed class OsBytes : IRandomness
{
    public void Fill(Span<byte> destination) => RandomNumberGenerator.Fill(destination);
}

/// <summary>A journal in memory that tells what was appended and synced, and can hold or fail writing.</summary>
internal sealed class BenchJournal
{
    public List<AuditedValidation> Validations { get; } = [];

    public List<AuditEntry> Notes { get; } = [];

    public List<AuditEntry> Calls { get; } = [];

    public int Syncs { get; private set; }

    public TaskCompletionSource? HoldWrites { get; set; }

    public StorageException? Failure { get; set; }

    public bool Refusing { get; set; }

    public LocalJournal Journal => new(
        (in AuditedValidation record) => Added(Validations, record),
        record => Added(Notes, record),
        record => Added(Calls, record),
        () =>
        {
            Syncs++;
            return Failure is not null ? Task.FromException(Failure) : Task.CompletedTask;
        },
        () => Refusing);

    private Task Added<T>(List<T> list, T record)
    {
        lock (list)
            list.Add(record);
        return Failure is not null ? Task.FromException(Failure) : HoldWrites?.Task ?? Task.CompletedTask;
    }
}

internal static class Answered
{
    public static AuditValue Detail(this AuditEntry entry, string name) =>
        entry.Details.Single(detail => detail.Key == name).Value;


    public static string Text(this ArrayBufferWriter<byte> body) =>
        System.Text.Encoding.UTF8.GetString(body.WrittenSpan);
}
