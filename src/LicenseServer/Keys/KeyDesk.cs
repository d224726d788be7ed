using System.Text;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Keysets;
using LicensePki;
using LicenseServer.Agents;
using LicenseServer.Storage;

namespace LicenseServer.Keys;

/// <summary>What one run of a rotation came to, for people.</summary>
/// <param name="Done">What was changed; empty when everything waits.</param>
/// <param name="Waiting">What has to happen first.</param>
internal sealed record KeyRotation(IReadOnlyList<string> Done, IReadOnlyList<string> Waiting);

/// <summary>How far the fleet is with a keyset: agents heard of within 30 days, and those that trust it.</summary>
internal readonly record struct FleetKeyset(long Version, long Agents, long Have);

/// <summary>
/// Replaces signing keys without a moment in which an agent meets a key that it does not trust: a new key is announced
/// in the next keyset, signs when the fleet has that keyset, and the old one leaves the keyset when nothing that it
/// signed is of use any more. Each run does the steps that are possible; one that was cut off is made good by the next.
/// </summary>
internal sealed class KeyDesk(ServerStore store, TimeProvider time, string actor)
{
    /// <summary>Agents check in every hour at least; one that was silent longer is not waited for.</summary>
    private static readonly TimeSpan HeardWithin = TimeSpan.FromDays(30);

    /// <summary>Stored answers (secrets, revocations) must verify at every start of an agent.</summary>
    private static readonly TimeSpan ResponseKept = TimeSpan.FromDays(90);

    private const int PinsMax = 8;

    private UtcTime Now => UtcTime.From(time.GetUtcNow());

    public async Task<(IReadOnlyList<SigningKeyRow> Keys, FleetKeyset Fleet)> ListAsync()
    {
        await store.Database.WriteAsync(Reconcile);
        return store.Database.Read(session =>
            ((IReadOnlyList<SigningKeyRow>)SigningKeyRows.All(session),
                Fleet(session, KeysetRows.LatestVersion(session))));
    }

    /// <param name="scopes">Of which keys; those that wait are looked at in any case.</param>
    /// <param name="pins">Further pins to announce: of server certificates to come.</param>
    /// <param name="force">Lets new keys sign although agents do not have their keyset yet; those lose contact until
    /// they have fetched it.</param>
    /// <exception cref="OrderRefusedException">Another rotation is under way, or a pin is none.</exception>
    /// <exception cref="KeyFileException">The key file cannot be written.</exception>
    public async Task<KeyRotation> RotateAsync(IReadOnlyList<string> scopes, IReadOnlyList<string> pins, bool force)
    {
        if (pins.FirstOrDefault(pin => !SpkiPin.TryParse(pin, out _)) is { } bad)
            throw new OrderRefusedException($"'{bad}' is no pin: sha256: and base64 of a public key's SHA-256");
        using var alone = Lock();
        var path = ServerStore.KeysPath(store.Options);
        store.RefreshKeys();
        await store.Database.WriteAsync(Reconcile);
        var done = new List<string>();
        var waiting = new List<string>();
        var file = KeyFile.Read(path);
        foreach (var scope in scopes) file = await RotateAsync(file, path, scope, force, done, waiting);
        await IssueAsync(file, path, pins, done);
        store.RefreshKeys();
        return new KeyRotation(done, waiting);
    }

    /// <summary>One scope: a key that waits gets its turn, or a new one is made for the next keyset.</summary>
    private async Task<KeyFile> RotateAsync(
        KeyFile file, string path, string scope, bool force, List<string> done, List<string> waiting)
    {
        var own = file.SigningKeys.Where(key => key.Scope == scope).ToList();
        if (own.Count == 1)
        {
            var grown = file with { SigningKeys = [.. file.SigningKeys, KeyFile.NewKey(scope)] };
            KeyFile.Write(path, grown);
            return grown;
        }

        using var keys = new ServerKeys(file, path);
        var current = keys.SigningKeys.First(key => key.Scope == scope);
        var next = keys.SigningKeys.Last(key => key.Scope == scope);
        var row = store.Database.Read(SigningKeyRows.All).Find(known => known.Kid == next.Kid);
        if (row is null) return file; // Made by a run that was cut off; announced below.
        var fleet = store.Database.Read(session => Fleet(session, row.AnnouncedIn));
        if (fleet.Have < fleet.Agents && !force)
        {
            waiting.Add(
                $"{scope} key {next.Kid} waits: {fleet.Have} of {fleet.Agents} agents have keyset {fleet.Version}; "
                + "run again later, or with --force");
            return file;
        }

        var promoted = file with
        {
            SigningKeys = [.. file.SigningKeys.Where(key => key.Scope != scope), own[^1]],
        };
        KeyFile.Write(path, promoted);
        await store.Database.WriteAsync(session =>
        {
            Promote(session, scope, current.Kid, next.Kid);
            return true;
        });
        done.Add($"{scope} key {next.Kid} signs from now on; {current.Kid} is retired");
        return promoted;
    }

    private void Promote(SqlSession session, string scope, string old, string next)
    {
        var now = Now;
        var keepUntil = scope switch
        {
            KeyScopes.Response => now + ResponseKept,
            KeyScopes.License => UtcTime.Max(now, LicenseRows.LatestEnd(session) ?? now),
            _ => now,
        };
        SigningKeyRows.SetRetired(session, old, now, keepUntil);
        SigningKeyRows.SetSigning(session, next, now);
        AuditChain.Append(
            session, now, actor, null, "signing_key_changed",
            ("scope", scope), ("kid", next), ("retired", old), ("keep_until", keepUntil.ToString()));
    }

    /// <summary>Writes the next keyset if there is a key to announce, one to leave out, or a pin to add.</summary>
    private async Task IssueAsync(KeyFile file, string path, IReadOnlyList<string> pins, List<string> done)
    {
        using var keys = new ServerKeys(file, path);
        using var certificate = PemFile.ReadCertificate(store.Options.TlsCertFile);
        var ownPin = SpkiPin.Of(certificate).ToString();
        await store.Database.WriteAsync(session =>
        {
            var now = Now;
            var before = ServerStore.CurrentKeyset(session).Keyset;
            var over = SigningKeyRows.All(session)
                .Where(row => row.DroppedIn is null && row.KeepUntil <= now).Select(row => row.Kid).ToHashSet();
            var added = keys.SigningKeys.Where(key => before.Find(key.Kid, key.Scope) is null).ToList();
            string[] allPins = [.. before.Pins.Concat([ownPin]).Concat(pins).Distinct()];
            if (over.Count == 0 && added.Count == 0 && allPins.SequenceEqual(before.Pins)) return false;
            var keyset = new Keyset(
                before.Version + 1, now, now + ServerStore.KeysetLifetime,
                [.. before.Keys.Where(key => !over.Contains(key.Kid)),
                    .. added.Select(key => KeysetKey.Of(key.Public, key.Scope))],
                [.. allPins.TakeLast(PinsMax)]);

            // The keyset key that signs stands in the one before; a new one beside it shows that its maker holds it.
            var signers = keys.SigningKeys.Where(key => key.Scope == KeyScopes.Keyset)
                .Select(key => new KeysetSigner(key.Kid, key.Sign));
            var signed = SignedKeyset.Create(keyset, [.. signers]);
            if (!KeysetRows.Add(session, keyset.Version, Encoding.UTF8.GetString(signed.Write())))
                throw new OrderRefusedException("another keyset was made meanwhile; run again");
            foreach (var key in added) SigningKeyRows.Add(session, key.Kid, key.Scope, now, keyset.Version);
            foreach (var kid in over) SigningKeyRows.SetDropped(session, kid, keyset.Version);
            AuditChain.Append(
                session, now, actor, null, "keyset_issued",
                ("version", keyset.Version), ("sha256", signed.PayloadSha256.ToString()),
                ("added", string.Join(' ', added.Select(key => key.Kid))), ("dropped", string.Join(' ', over)));
            done.AddRange(added.Select(key => $"{key.Scope} key {key.Kid} is announced in keyset {keyset.Version}"));
            done.AddRange(over.Select(kid => $"key {kid} is no more in keyset {keyset.Version}"));
            if (added.Count + over.Count == 0) done.Add($"keyset {keyset.Version} has new pins");
            return true;
        });
    }

    /// <summary>The table as the key file says it is: the first keyset has no rows yet, and a run may have been cut
    /// off between file and table.</summary>
    private bool Reconcile(SqlSession session)
    {
        var keyset = ServerStore.CurrentKeyset(session).Keyset;
        var known = SigningKeyRows.All(session).ToDictionary(row => row.Kid);
        foreach (var signing in store.Keys.Signing)
        {
            if (known.GetValueOrDefault(signing.Kid)?.SignsSince is not null) continue;
            SigningKeyRows.Add(session, signing.Kid, signing.Scope, keyset.IssuedAt, keyset.Version);
            var old = known.Values.FirstOrDefault(
                row => row.Scope == signing.Scope && row is { SignsSince: not null, Retired: null });
            if (old is not null) Promote(session, signing.Scope, old.Kid, signing.Kid);
            else SigningKeyRows.SetSigning(session, signing.Kid, keyset.IssuedAt);
        }

        return true;
    }

    private FleetKeyset Fleet(SqlSession session, long version)
    {
        var (all, have) = AgentRows.CountKeyset(session, version, Now - HeardWithin);
        return new FleetKeyset(version, all, have);
    }

    /// <summary>One rotation at a time, over processes.</summary>
    private FileStream Lock()
    {
        var path = Path.Combine(store.Options.DataDirectory, "keys.lock");
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.None);
        }
        catch (IOException error)
        {
            throw new OrderRefusedException($"another `keys rotate` is under way ({error.Message})");
        }
    }
}
