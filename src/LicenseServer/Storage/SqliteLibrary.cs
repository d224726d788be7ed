using System.Runtime.InteropServices;
using SQLitePCL;

namespace LicenseServer.Storage;

/// <summary>
/// Binds SQLite to the distribution's libsqlite3, so that the C library gets the distribution's security fixes;
/// the provider asks for "e_sqlite3", a private build that is not shipped.
/// </summary>
internal static class SqliteLibrary
{
    private const string LibraryName = "libsqlite3.so.0";
    private static readonly Lock Gate = new();
    private static bool isBound;

    /// <summary>Idempotent; must have run before the first connection.</summary>
    public static void Bind()
    {
        lock (Gate)
        {
            if (isBound) return;
            NativeLibrary.SetDllImportResolver(
                typeof(SQLite3Provider_e_sqlite3).Assembly,
                (name, _, _) => name == "e_sqlite3" ? NativeLibrary.Load(LibraryName) : 0);
            raw.SetProvider(new SQLite3Provider_e_sqlite3());
            raw.FreezeProvider();
            isBound = true;
        }
    }
}
