using System.Text;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Keysets;
using LicensePki;
using LicenseServer.Keys;
using LicenseServer.Storage;

namespace LicenseServer;

/// <summary>
/// The data directory, opened: keys, database, keyset. Whoever opens it first makes what is missing, be it
/// <c>serve</c> or an operator's command.
/// </summary>
internal sealed class ServerStore : IAsyncDisposable
{
    /// <summary>Rows of the audit that are verified at every start; the whole chain would take long after
    /// years.</summary>
    private const int AuditRowsChecked = 10_000;

    public static readonly TimeSpan KeysetLifetime = TimeSpan.FromDays(365);

    private Digest32 _keysHash;

    private ServerStore(ServerOptions options, ServerKeys keys, Database database, bool madeKeys)
    {
        Options = options;
        Keys = keys;
        Database = database;
        HasMadeKeys = madeKeys;
    }

    public ServerOptions Options { get; }

    public ServerKeys Keys { get; }

    public Database Database { get; }

    /// <summary>The keys were made just now and lie beside the database: say so loudly.</summary>
    public bool HasMadeKeys { get; }

    public static string KeysPath(ServerOptions options) =>
        options.KeysFile ?? Path.Combine(options.DataDirectory, "keys.json");

    /// <exception cref="KeyFileException">The keys cannot be used.</exception>
    /// <exception cref="StorageException">The database cannot be used, or its audit is broken.</exception>
    /// <exception cref="PkiException">The server's certificate cannot be read.</exception>
    public static async Task<ServerStore> OpenAsync(ServerOptions options, TimeProvider time, FillRandom random)
    {
        Directory.CreateDirectory(
            options.DataDirectory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var keysPath = KeysPath(options);
        var madeKeys = options.KeysFile is null && !File.Exists(keysPath) && KeyFile.TryCreate(keysPath, random);
        var hash = KeyFile.HashOf(keysPath);
        var keys = new ServerKeys(KeyFile.Read(keysPath), keysPath);
        var database = new Database(Path.Combine(options.DataDirectory, "license-server.db"));
        var store = new ServerStore(options, keys, database, madeKeys) { _keysHash = hash };
        var isSound = false;
        try
        {
            store.CheckAudit();
            await store.EnsureKeysetAsync(UtcTime.From(time.GetUtcNow()));
            isSound = true;
            return store;
        }
        finally
        {
            if (!isSound) await store.DisposeAsync();
        }
    }

    /// <summary>The keyset in force, with its signatures.</summary>
    public SignedKeyset CurrentKeyset() => Database.Read(CurrentKeyset);

    public static SignedKeyset CurrentKeyset(SqlSession session)
    {
        var latest = KeysetRows.LatestVersion(session);
        return SignedKeyset.Read(Encoding.UTF8.GetBytes(KeysetRows.After(session, latest - 1, 1)[0]));
    }

    /// <summary>Takes over signing keys that <c>keys rotate</c> has put into the key file since; one thread at a
    /// time.</summary>
    /// <returns>Whether there were any.</returns>
    /// <exception cref="KeyFileException">The file cannot be used; the keys in memory stay.</exception>
    public bool RefreshKeys()
    {
        var path = KeysPath(Options);
        var hash = KeyFile.HashOf(path);
        if (hash == _keysHash) return false;
        Keys.TakeOver(KeyFile.Read(path), path);
        _keysHash = hash;
        return true;
    }

    public async ValueTask DisposeAsync()
    {
        await Database.DisposeAsync();
        Keys.Dispose();
    }

    private void CheckAudit()
    {
        if (Database.Read(session => AuditChain.FindBreak(session, AuditRowsChecked)) is { } seq)
        {
            throw new StorageException(
                $"the server's audit does not chain at row {seq}: it was changed outside of this program. "
                + "Restore a backup, and find out who did it");
        }
    }

    private async Task EnsureKeysetAsync(UtcTime now)
    {
        if (Database.Read(KeysetRows.LatestVersion) == 0)
        {
            var signed = MakeFirstKeyset(now);
            var json = Encoding.UTF8.GetString(signed.Write());
            await Database.WriteAsync(session => KeysetRows.Add(session, 1, json));
        }

        var current = CurrentKeyset().Keyset;
        foreach (var key in Keys.Signing)
        {
            if (current.Find(key.Kid, key.Scope) is null)
            {
                throw new KeyFileException(
                    $"the {key.Scope} key of {KeysPath(Options)} is not in keyset {current.Version}, so agents would "
                    + "not believe it; put the key file of this database back");
            }
        }
    }

    private SignedKeyset MakeFirstKeyset(UtcTime now)
    {
        using var certificate = PemFile.ReadCertificate(Options.TlsCertFile);
        var keys = Keys.Signing.Select(key => KeysetKey.Of(key.Public, key.Scope));
        var keyset = new Keyset(1, now, now + KeysetLifetime, [.. keys], [SpkiPin.Of(certificate).ToString()]);
        return SignedKeyset.Create(keyset, new KeysetSigner(Keys.Keyset.Kid, Keys.Keyset.Sign));
    }
}
