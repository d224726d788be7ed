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
