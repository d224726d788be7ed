using System.Globalization;
using System.Text;
using LicenseServer.Agents;
using LicenseServer.Storage;
using Microsoft.AspNetCore.Http;
using Microsoft.Data.Sqlite;

namespace LicenseServer.Http;

/// <summary>Marks a connection to the management listener; the agent listener serves none of its paths.</summary>
internal sealed class ManagementConnection;

/// <summary>/healthz (the process answers), /readyz (it can do its work), /metrics.</summary>
internal sealed class ManagementEndpoint(
    Database database, Tally tally, DateTimeOffset certificateEnds, TimeProvider time)
{
    public async Task HandleAsync(HttpContext context)
    {
        var (status, text) = (context.Request.Method, context.Request.Path.Value) switch
        {
            ("GET", "/healthz") => (200, "ok\n"),
            ("GET", "/readyz") => Ready(),
            ("GET", "/metrics") => (200, Metrics()),
            _ => (404, "there is no such page\n"),
        };
        context.Response.StatusCode = status;
        context.Response.ContentType = "text/plain; charset=utf-8";
        await context.Response.WriteAsync(text, context.RequestAborted);
    }

    private (int Status, string Text) Ready()
    {
        if (certificateEnds < time.GetUtcNow()) return (503, "the server's certificate has expired\n");
        try
        {
            return database.Read(KeysetRows.LatestVersion) > 0 ? (200, "ready\n") : (503, "there is no keyset\n");
        }
        catch (SqliteException error)
        {
            return (503, $"the database does not answer: {error.Message}\n");
        }
    }

    private string Metrics()
    {
        var text = new StringBuilder();
        var (agents, enrolled, suspended, suspect) = database.Read(AgentRows.Count);
        Gauge(text, "license_server_build_info{version=\"" + ServerApp.Version + "\"}", 1);
        Gauge(text, "license_server_agents", agents);
        Gauge(text, "license_server_agents_enrolled", enrolled);
        Gauge(text, "license_server_agents_suspended", suspended);
        Gauge(text, "license_server_agents_clone_suspect", suspect);
        Gauge(text, "license_server_certificate_expiry_timestamp_seconds", certificateEnds.ToUnixTimeSeconds());
        Gauge(text, "license_server_requests_shed_total", tally.ShedCount);
        foreach (var (path, status, count) in tally.Answers)
            Gauge(text, $"license_server_requests_total{{path=\"{path}\",status=\"{status}\"}}", count);
        return text.ToString();
    }

    private static void Gauge(StringBuilder text, string name, long value) =>
        text.Append(name).Append(' ').Append(value.ToString(CultureInfo.InvariantCulture)).Append('\n');
}
