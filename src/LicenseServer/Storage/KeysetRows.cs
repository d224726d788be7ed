using LicenseAgent.Protocol.Encoding;
using Microsoft.Data.Sqlite;

namespace LicenseServer.Storage;

/// <summary>The table keysets: the whole chain, for ever.</summary>
internal static class KeysetRows
{
    public static long LatestVersion(SqlSession session) => session.Number("SELECT max(version) FROM keysets");

    /// <summary>The signed keysets after a version, oldest first, as JSON texts.</summary>
    public static List<string> After(SqlSession session, long version, int count) => session.All(
        "SELECT jws FROM keysets WHERE version > ?1 ORDER BY version LIMIT ?2",
        static row => row.GetString(0), version, (long)count);

    /// <returns>False when there is a keyset of this version already.</returns>
    public static bool Add(SqlSession session, long version, string jws) => session.Run(
        "INSERT INTO keysets (version, jws) VALUES (?1, ?2) ON CONFLICT DO NOTHING", version, jws) == 1;
}

/// <summary>The life of one signing key: announced in a keyset, signing, retired, out of the keyset.</summary>
/// <param name="KeepUntil">Stays in the keyset until then, because of what it has signed.</param>
internal sealed record SigningKeyRow(
    string Kid, string Scope, UtcTime Announced, long AnnouncedIn, UtcTime? SignsSince, UtcTime? Retired,
    UtcTime? KeepUntil, long? DroppedIn);

/// <summary>The table signing_keys.</summary>
internal static class SigningKeyRows
{
    public static List<SigningKeyRow> All(SqlSession session) => session.All(
        """
        SELECT kid, scope, announced, announced_in, signs_since, retired, keep_until, dropped_in FROM signing_keys
        ORDER BY scope, announced, kid
        """,
        static row => new SigningKeyRow(
            row.GetString(0), row.GetString(1), new UtcTime(row.GetInt64(2)), row.GetInt64(3), Time(row, 4),
            Time(row, 5), Time(row, 6), row.IsDBNull(7) ? null : row.GetInt64(7)));

    public static void Add(SqlSession session, string kid, string scope, UtcTime announced, long keyset) => session.Run(
        "INSERT INTO signing_keys (kid, scope, announced, announced_in) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        kid, scope, announced.UnixMs, keyset);

    public static void SetSigning(SqlSession session, string kid, UtcTime since) =>
        session.Run("UPDATE signing_keys SET signs_since = ?2 WHERE kid = ?1", kid, since.UnixMs);

    public static void SetRetired(SqlSession session, string kid, UtcTime now, UtcTime keepUntil) => session.Run(
        "UPDATE signing_keys SET retired = ?2, keep_until = ?3 WHERE kid = ?1", kid, now.UnixMs, keepUntil.UnixMs);

    public static void SetDropped(SqlSession session, string kid, long keyset) =>
        session.Run("UPDATE signing_keys SET dropped_in = ?2 WHERE kid = ?1", kid, keyset);

    private static UtcTime? Time(SqliteDataReader row, int i) => row.IsDBNull(i) ? null : new UtcTime(row.GetInt64(i));
}
