using System.Globalization;
using System.Text;

namespace LicenseAgent.Testbed.Processes;

/// <summary>What a test or a demonstration changes in a till's configuration; everything else is the default.</summary>
public sealed record TillSettings
{
    public required string TpmDevice { get; init; }

    /// <summary>UIDs that may validate; root unless said otherwise, because the testbed usually is root.</summary>
    public IReadOnlyList<uint> PosUids { get; init; } = [Environment.IsPrivilegedProcess ? 0u : TillFolder.OwnUid];

    public IReadOnlyList<uint> AdminUids { get; init; } = [Environment.IsPrivilegedProcess ? 0u : TillFolder.OwnUid];

    public int PosRate { get; init; } = 200;

    public TimeSpan RotationInterval { get; init; } = TimeSpan.FromDays(1);

    public TimeSpan GracePeriod { get; init; } = TimeSpan.FromDays(7);

    public TimeSpan CheckInInterval { get; init; } = TimeSpan.FromMinutes(15);

    public TimeSpan OfflineAfter { get; init; } = TimeSpan.FromDays(1);

    public TimeSpan ServerTimeout { get; init; } = TimeSpan.FromSeconds(30);

    public string OnAuditFailure { get; init; } = "continue";

    /// <summary>Further lines of <c>[tpm]</c>.</summary>
    public string Tpm { get; init; } = "";

    /// <summary>Further lines of <c>[management]</c>.</summary>
    public string Management { get; init; } = "";

    /// <summary>Where the newest file of the audit log is closed; the default, unless a test wants many files.</summary>
    public long AuditSegmentBytes { get; init; } = 64L << 20;

    /// <summary>How large all files of the log may be together.</summary>
    public long AuditMaxBytes { get; init; } = 2L << 30;

    /// <summary>Where alerts are sent, with a secret file beside the configuration; nowhere by default.</summary>
    public string? WebhookUrl { get; init; }

    /// <summary>Overrules the address the till was enrolled with.</summary>
    public string? ServerUrl { get; init; }
}

/// <summary>The directories of one till: state, log, sockets, configuration.</summary>
public sealed class TillFolder
{
    public TillFolder(string root)
    {
        Root = root;
        foreach (string folder in (string[])[Root, State, Logs, Runtime])
        {
            Directory.CreateDirectory(folder);
        }

        // As the service unit makes it: others reach metrics.prom by its name and can list nothing.
        File.SetUnixFileMode(
            State, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
            | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
    }

    public static uint OwnUid { get; } = uint.Parse(
        File.ReadLines("/proc/self/status").First(l => l.StartsWith("Uid:", StringComparison.Ordinal)).Split('\t')[1],
        CultureInfo.InvariantCulture);

    public string Root { get; }

    public string State => Path.Combine(Root, "state");

    public string Logs => Path.Combine(Root, "log");

    public string Runtime => Path.Combine(Root, "run");

    public string AuditLog => Path.Combine(Logs, "audit.log");

    public string PosSocket => Path.Combine(Runtime, "pos.sock");

    public string AdminSocket => Path.Combine(Runtime, "admin.sock");

    public string ConfigFile => Path.Combine(Root, "config.toml");

    public string WebhookSecretFile => Path.Combine(Root, "webhook.secret");

    public string MetricsFile => Path.Combine(State, "metrics.prom");

    public void WriteConfig(TillSettings settings) => File.WriteAllText(
        ConfigFile,
        string.Create(
            CultureInfo.InvariantCulture,
            $"""
             [server]
             timeout = {(int)settings.ServerTimeout.TotalSeconds}
             {(settings.ServerUrl is { } url ? $"url = \"{url}\"" : "")}

             [agent]
             rotation_interval = {(int)settings.RotationInterval.TotalSeconds}
             grace_period = {(int)settings.GracePeriod.TotalSeconds}
             check_in_interval = {(int)settings.CheckInInterval.TotalSeconds}
             offline_after = {(int)settings.OfflineAfter.TotalSeconds}

             [tpm]
             device = "{settings.TpmDevice}"
             {settings.Tpm}

             [pos]
             socket = "{PosSocket}"
             allowed_uids = [{string.Join(", ", settings.PosUids)}]
             rate = {settings.PosRate}
             burst = {settings.PosRate * 2}

             [management]
             socket = "{AdminSocket}"
             admin_uids = [{string.Join(", ", settings.AdminUids)}]
             {settings.Management}

             [audit]
             path = "{AuditLog}"
             on_failure = "{settings.OnAuditFailure}"
             segment_bytes = {settings.AuditSegmentBytes}
             max_bytes = {settings.AuditMaxBytes}
             {Webhook(settings)}
             [paths]
             state = "{State}"
             logs = "{Logs}"
             runtime = "{Runtime}"

             """),
        new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));

    private string Webhook(TillSettings settings) => settings.WebhookUrl is null ? "" :
        $"""

         [alerts]
         webhook_url = "{settings.WebhookUrl}"
         webhook_secret_file = "{WebhookSecretFile}"

         """;
}
