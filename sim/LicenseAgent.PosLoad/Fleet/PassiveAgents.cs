using System.Globalization;
using LicenseServer.Storage;

namespace LicenseAgent.PosLoad.Fleet;

/// <summary>
/// Agents that are in the database and never call: copies of the rows of one that enrolled and rotated, under other
/// names. What a large fleet costs is the size of the tables.
/// </summary>
internal static class PassiveAgents
{
    // Tables whose rows belong to one agent, the referenced one first.
    private static readonly string[] s_tables =
        ["agents", "agent_keys", "secret_versions", "requests", "witnesses", "agent_clocks"];

    // Of the one that is copied, which may have called a thousand times.
    private const int RowsMax = 16;

    public static async Task AddAsync(Database database, string like, int count)
    {
        if (count == 0)
        {
            return;
        }

        foreach (string table in s_tables)
        {
            await database.WriteAsync(session => Copy(session, table, like, count));
        }
    }

    private static int Copy(SqlSession session, string table, string like, int count)
    {
        List<string> columns = session.All(
            "SELECT name FROM pragma_table_info(?1)", row => row.GetString(0), table);

        // Names that rise as numbers do: rows in the order of the key are appended, others are scattered over the file.
        IEnumerable<string> values = columns.Select(
            c => c == "agent_id" ? "printf('passive-%07d', n.i)" : "t." + c);
        string sql = string.Create(CultureInfo.InvariantCulture, $"""
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
            INSERT INTO {table} ({string.Join(", ", columns)})
            SELECT {string.Join(", ", values)}
            FROM n, (SELECT * FROM {table} WHERE agent_id = ?1 LIMIT {RowsMax}) AS t
            """);
        return session.Run(sql, like);
    }
}
