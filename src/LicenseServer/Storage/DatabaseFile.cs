using LicensePki;
using Microsoft.Data.Sqlite;

namespace LicenseServer.Storage;

/// <summary>Creates, migrates and checks the database file before anything else uses it.</summary>
internal static class DatabaseFile
{
    /// <exception cref="StorageException">The file is newer than this program, damaged, or cannot be
    /// opened.</exception>
    public static void Prepare(string path)
    {
        CreateIfMissing(path);
        try
        {
            using var session = new SqlSession(path, readOnly: false);
            session.Script("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
            Migrate(session, path);
        }
        catch (SqliteException error)
        {
            throw new StorageException($"the database {path} cannot be used: {error.Message}", error);
        }
    }

    // SQLite would create the file under the umask; tokens' hashes and claims are nobody else's business.
    private static void CreateIfMissing(string path)
    {
        if (File.Exists(path)) return;
        try
        {
            DurableFile.Create(path, [], DurableFile.KeyMode);
        }
        catch (IOException) when (File.Exists(path))
        {
            // Another process of this server created it first; both go on with the same file.
        }
    }

    private static void Migrate(SqlSession session, string path)
    {
        session.Script("BEGIN IMMEDIATE");
        var version = session.Number("PRAGMA user_version");
        if (version > Schema.Migrations.Count)
        {
            throw new StorageException(
                $"the database {path} has schema {version}, this program knows {Schema.Migrations.Count}; "
                + "use the newer program");
        }

        for (var step = (int)version; step < Schema.Migrations.Count; step++) session.Script(Schema.Migrations[step]);
        session.Script($"PRAGMA user_version = {Schema.Migrations.Count}");
        session.Script("COMMIT");
    }
}
