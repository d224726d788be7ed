using System.CommandLine;
using System.Globalization;
using System.Net;
using LicensePki;
using LicenseServer.Agents;

namespace LicenseServer.Commands;

/// <summary>
/// Where <see cref="ServerOptions"/> come from. Each setting has one option and one variable; an option on the
/// command line wins over the environment, that over the settings file (lines of NAME=VALUE, # for comments), that
/// over the default.
/// </summary>
internal sealed class Settings
{
    /// <summary>The settings, in the order in which they are shown.</summary>
    public static readonly IReadOnlyList<Setting> All =
    [
        new("--data", "LICENSE_SERVER_DATA", "directory of the database and keys (/var/lib/license-server)"),
        new("--keys-file", "LICENSE_SERVER_KEYS_FILE", "a key file kept elsewhere, e.g. under /run/secrets"),
        new("--pki", "LICENSE_SERVER_PKI", "a tree of license-pki, in place of the five certificate files"),
        new("--tls-cert", "TLS_CERT_FILE", "certificate of the agent API, PEM"),
        new("--tls-key", "TLS_KEY_FILE", "its key, PEM"),
        new("--tls-ca-cert", "TLS_CA_CERT_FILE", "the CA under which agents' certificates are accepted, PEM"),
        new("--agent-ca-key", "AGENT_CA_KEY_FILE", "the key of that CA, PEM"),
        new("--server-ca-cert", "SERVER_CA_CERT_FILE", "the CA of the server's own certificate, PEM"),
        new("--name", "LICENSE_SERVER_NAME", "issuer of licenses and name in the server's certificate (localhost)"),
        new("--url", "LICENSE_SERVER_URL", "where agents find this server (https://NAME:PORT)"),
        new("--listen", "LICENSE_SERVER_LISTEN", "address of the agent API (127.0.0.1:8443)"),
        new("--management-listen", "LICENSE_SERVER_MANAGEMENT_LISTEN",
            "address of /healthz, /readyz, /metrics (127.0.0.1:8444)"),
        new("--rotation-interval", "LICENSE_SERVER_ROTATION_INTERVAL", "how often agents rotate (1d)"),
        new("--grace-period", "LICENSE_SERVER_GRACE_PERIOD", "how long an older secret opens tokens (7d)"),
        new("--check-in-interval", "LICENSE_SERVER_CHECK_IN_INTERVAL", "how often agents check in (15m)"),
        new("--confirm-within", "LICENSE_SERVER_CONFIRM_WITHIN", "how long an agent keeps an unconfirmed secret (1h)"),
        new("--bundle-lifetime", "LICENSE_SERVER_BUNDLE_LIFETIME", "how long an enrolment bundle can be used (1d)"),
        new("--enrolment-approve", "LICENSE_SERVER_ENROLMENT_APPROVE",
            "true: enrolments wait for `agents approve` (false)"),
        new("--software-fallback", "LICENSE_SERVER_SOFTWARE_FALLBACK",
            "who lets an agent without its TPM go on with software keys: operator or automatic (operator)"),
        new("--rate-per-minute", "LICENSE_SERVER_RATE_PER_MINUTE", "requests of one agent a minute (60)"),
        new("--rate-burst", "LICENSE_SERVER_RATE_BURST", "requests of one agent at once (20)"),
        new("--concurrent-max", "LICENSE_SERVER_CONCURRENT_MAX", "agent requests worked on at once (256)"),
        new("--connections-max", "LICENSE_SERVER_CONNECTIONS_MAX", "open connections (4096)"),
    ];

    private readonly Func<Setting, string?> _find;
    private readonly List<string> _errors = [];

    private Settings(Func<Setting, string?> find) => _find = find;

    /// <exception cref="SettingsException">The file has a line that is no setting, or one twice.</exception>
    public static Settings Of(ParseResult parsed, string? file, Func<string, string?> environment)
    {
        var lines = file is null ? [] : ReadFile(file);
        return new Settings(setting =>
            parsed.GetValue<string?>(setting.Option) ?? environment(setting.Variable)
            ?? lines.GetValueOrDefault(setting.Variable));
    }

    /// <exception cref="SettingsException">With every error at once.</exception>
    public ServerOptions ToOptions() => Checked(Build());

    /// <summary>Where a running server answers; for this no certificate needs to be named.</summary>
    /// <exception cref="SettingsException">The address is malformed.</exception>
    public IPEndPoint ToManagementListen() =>
        Checked(EndPoint("--management-listen", ServerOptions.DefaultManagementListen));

    private T Checked<T>(T built) => _errors.Count == 0 ? built : throw new SettingsException(_errors);

    private ServerOptions Build()
    {
        var tree = Text("--pki") is { } pki ? new DevTree(pki) : null;
        var options = new ServerOptions
        {
            DataDirectory = Text("--data") ?? "/var/lib/license-server",
            KeysFile = Text("--keys-file"),
            TlsCertFile = Required("--tls-cert", tree?.ServerCertificate),
            TlsKeyFile = Required("--tls-key", tree?.ServerKey),
            AgentCaCertFile = Required("--tls-ca-cert", tree?.AgentCaCertificate),
            AgentCaKeyFile = Required("--agent-ca-key", tree?.AgentCaKey),
            ServerCaCertFile = Required("--server-ca-cert", tree?.ServerCaCertificate),
        };
        return options with
        {
            Policy = PolicyOver(options.Policy),
            ServerName = Text("--name") ?? options.ServerName,
            PublicUrl = Url("--url"),
            Listen = EndPoint("--listen", options.Listen),
            ManagementListen = EndPoint("--management-listen", options.ManagementListen),
            SoftwareFallbackAutomatic = IsAutomatic("--software-fallback"),
            BundleLifetime = Span("--bundle-lifetime", options.BundleLifetime),
            EnrollmentApproval = Flag("--enrolment-approve"),
            RateLimit = new RateLimitOptions
            {
                PerMinute = Number("--rate-per-minute", options.RateLimit.PerMinute),
                Burst = Number("--rate-burst", options.RateLimit.Burst),
            },
            ConcurrentRequestsMax = Number("--concurrent-max", options.ConcurrentRequestsMax),
            ConnectionsMax = Number("--connections-max", options.ConnectionsMax),
        };
    }

    private Policy PolicyOver(Policy usual)
    {
        Policy policy = new()
        {
            RotationInterval = Span("--rotation-interval", usual.RotationInterval),
            GracePeriod = Span("--grace-period", usual.GracePeriod),
            CheckInInterval = Span("--check-in-interval", usual.CheckInInterval),
            ConfirmWithin = Span("--confirm-within", usual.ConfirmWithin),
        };
        if (policy.StopsRotations)
        {
            Error("--grace-period", $"is more than {Policy.GraceIntervalsMax} times the rotation interval; an agent "
                + "keeps 16 secrets in grace and would stop rotating: shorten it, or lengthen --rotation-interval");
        }

        return policy;
    }

    private string? Text(string option) => _find(All.First(setting => setting.Option == option)) is { Length: > 0 } text
        ? text
        : null;

    private string Required(string option, string? fallback)
    {
        if ((Text(option) ?? fallback) is { } value) return value;
        Error(option, "is missing; name the file, or a whole tree with --pki");
        return "";
    }

    private Uri? Url(string option)
    {
        if (Text(option) is not { } text) return null;
        if (Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme == Uri.UriSchemeHttps) return url;
        Error(option, $"'{text}' is not an https URL");
        return null;
    }

    private IPEndPoint EndPoint(string option, IPEndPoint fallback)
    {
        if (Text(option) is not { } text) return fallback;
        if (IPEndPoint.TryParse(text, out var address) && text.Contains(':', StringComparison.Ordinal)) return address;
        Error(option, $"'{text}' is not ADDRESS:PORT");
        return fallback;
    }

    private TimeSpan Span(string option, TimeSpan fallback)
    {
        if (Text(option) is not { } text) return fallback;
        if (Durations.TryParse(text, out var span)) return span;
        Error(option, $"'{text}' is not a duration such as 30s, 15m, 24h, 7d (at least 1s, at most 10 years)");
        return fallback;
    }

    private bool Flag(string option)
    {
        if (Text(option) is not { } text) return false;
        if (text is "true" or "false") return text == "true";
        Error(option, $"'{text}' is neither true nor false");
        return false;
    }

    private bool IsAutomatic(string option)
    {
        var text = Text(option) ?? "operator";
        if (text is not ("operator" or "automatic")) Error(option, $"'{text}' is neither operator nor automatic");
        return text == "automatic";
    }

    private int Number(string option, int fallback)
    {
        if (Text(option) is not { } text) return fallback;
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0)
            return number;
        Error(option, $"'{text}' is not a positive number");
        return fallback;
    }

    private void Error(string option, string fact) =>
        _errors.Add($"{option} ({All.First(setting => setting.Option == option).Variable}) {fact}");

    private static Dictionary<string, string> ReadFile(string path)
    {
        var lines = new Dictionary<string, string>();
        var errors = new List<string>();
        var number = 0;
        foreach (var line in File.ReadLines(path))
        {
            number++;
            var text = line.Trim();
            if (text.Length == 0 || text[0] == '#') continue;
            var equals = text.IndexOf('=', StringComparison.Ordinal);
            var name = equals < 0 ? text : text[..equals].TrimEnd();
            if (equals < 0 || All.All(setting => setting.Variable != name))
                errors.Add($"{path}:{number}: '{name}' is no setting");
            else if (!lines.TryAdd(name, text[(equals + 1)..].TrimStart()))
                errors.Add($"{path}:{number}: '{name}' stands twice");
        }

        return errors.Count == 0 ? lines : throw new SettingsException(errors);
    }
}

/// <summary>One setting: its option, its variable (also its name in the settings file), and what it is.</summary>
internal sealed record Setting(string Option, string Variable, string Description);

/// <summary>Durations as people write them: 30s, 15m, 24h, 7d.</summary>
internal static class Durations
{
    private static readonly TimeSpan Longest = TimeSpan.FromDays(3650);

    public static bool TryParse(string text, out TimeSpan span)
    {
        span = default;
        if (text.Length < 2) return false;
        var digits = text.AsSpan(0, text.Length - 1);
        if (!int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var count)) return false;
        var unit = text[^1] switch
        {
            's' => TimeSpan.FromSeconds(1),
            'm' => TimeSpan.FromMinutes(1),
            'h' => TimeSpan.FromHours(1),
            'd' => TimeSpan.FromDays(1),
            _ => TimeSpan.Zero,
        };
        if (unit == TimeSpan.Zero || count < 1 || count > Longest / unit) return false;
        span = unit * count;
        return true;
    }
}
