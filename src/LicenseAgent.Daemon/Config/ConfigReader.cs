using System.Net;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Tpm;

namespace LicenseAgent.Daemon.Config;

/// <summary>
/// Turns the bytes of <c>config.toml</c> and the environment into an <see cref="AgentConfig"/>, or into every mistake
/// in them at once. The only place that knows keys, defaults and ranges; <c>--check-config</c> runs exactly this.
/// </summary>
internal sealed class ConfigReader
{
    private const int MaxSeconds = 10 * 366 * 86_400;
    private const int MaxPins = 16;
    private const int MaxIds = 64;

    // Below it a busy till would do nothing but close files.
    private const long SegmentBytesMin = 64 * 1024;

    private readonly ConfigValues _values;
    private readonly PathValues _paths;
    private readonly TlsFileValues _files;
    private readonly AlertValues _alerts;

    private ConfigReader(
        ReadOnlySpan<byte> file, IReadOnlyDictionary<string, string> environment, Func<string, NamedFile> read)
    {
        _values = new ConfigValues(TomlReader.Read(file), environment);
        _paths = new PathValues(_values, environment);
        _files = new TlsFileValues(_values, _paths, read);
        _alerts = new AlertValues(_values, _paths, read);
    }

    /// <param name="read">Reads a file that the configuration names.</param>
    public static ConfigOutcome Read(
        ReadOnlySpan<byte> file, IReadOnlyDictionary<string, string> environment, Func<string, NamedFile> read)
    {
        var reader = new ConfigReader(file, environment, read);
        var config = reader.ReadAll();
        return reader._values.Errors.Count == 0
            ? new ConfigOutcome(config, [])
            : new ConfigOutcome(null, reader._values.Errors);
    }

    /// <summary>Every <c>section.key</c> this version reads.</summary>
    public static IReadOnlyList<string> Keys()
    {
        var reader = new ConfigReader([], new Dictionary<string, string>(), _ => default);
        reader.ReadAll();
        return [.. reader._values.Asked.Select(asked => $"{asked.Section}.{asked.Key}").Distinct()];
    }

    private AgentConfig ReadAll()
    {
        var paths = new PathsConfig(
            _paths.Absolute("paths", "state", "/var/lib/license-agent"),
            _paths.Absolute("paths", "logs", "/var/log/license-agent"),
            _paths.Absolute("paths", "runtime", "/run/license-agent"));
        var config = new AgentConfig(
            ReadServer(), ReadIdentity(), ReadTpm(paths), ReadPos(paths), ReadManagement(paths), ReadAudit(paths),
            new DegradedConfig(_values.Boolean("degraded", "allowed") ?? true), paths,
            new SecurityConfig(_values.Boolean("security", "strict") ?? false))
        {
            Alerts = _alerts.Read(),
        };
        if (config.Pos.Socket == config.Management.Socket)
        {
            _values.Refuse(_values.Given("pos", "socket") ? "pos" : "management", "socket",
                "pos.socket and management.socket are the same path; give each its own");
        }

        _values.RefuseUnknown(new UnknownKeys(_values.Asked));
        return config with { Given = _values.AllGiven() };
    }

    private ServerConfig ReadServer()
    {
        string? url = _values.Text("server", "url");
        if (url is not null && !IsServerUrl(url))
            _values.Refuse("server", "url", "url must be https://HOST or https://HOST:PORT, with nothing after it");
        var pins = new List<string>();
        if (_values.Text("server", "cert_pin") is { } single)
            AddPin(pins, "cert_pin", single);
        foreach (string pin in _values.Texts("server", "cert_pins", MaxPins) ?? [])
            AddPin(pins, "cert_pins", pin);
        return new ServerConfig(
            url, pins, _files.Client(), _files.Authority(), Seconds("server", "timeout", 30, 1, 300));
    }

    private void AddPin(List<string> pins, string key, string pin)
    {
        if (!SpkiPin.TryParse(pin, out _))
        {
            _values.Refuse("server", key, $"\"{pin}\" is no pin; give \"sha256:\" and the base64 SHA-256 of the "
                + "certificate's SubjectPublicKeyInfo (44 characters)");
        }
        else if (!pins.Contains(pin))
        {
            pins.Add(pin);
        }
    }

    private static bool IsServerUrl(string url) =>
        Uri.TryCreate(url, UriKind.Absolute, out var uri) && uri.Scheme == Uri.UriSchemeHttps
        && uri.PathAndQuery == "/" && uri.Fragment == "" && uri.UserInfo == "" && uri.Host != "";

    private IdentityConfig ReadIdentity()
    {
        string? id = _values.Text("agent", "id");
        if (id is not null && !AgentId.IsValid(id))
        {
            _values.Refuse("agent", "id",
                $"\"{id}\" is no agent id; use 1 to 63 of a-z, 0-9 and \"-\", no \"-\" at either end");
        }

        return new IdentityConfig(
            id, Seconds("agent", "rotation_interval", 86_400, 1), Seconds("agent", "grace_period", 604_800, 0),
            Seconds("agent", "offline_after", 86_400, 1), Seconds("agent", "check_in_interval", 900, 1));
    }

    private TpmConfig ReadTpm(PathsConfig paths)
    {
        if (_values.Boolean("tpm", "enabled") == false)
        {
            _values.Refuse("tpm", "enabled",
                "running without a TPM is not available; set enabled = true, and fallback = \"on_loss\" if "
                + "software keys may take its place when it is lost");
        }

        string device = _values.Text("tpm", "device") ?? "device:/dev/tpmrm0";
        if (!TpmAddress.TryParse(device, out _, out string? wrong))
            _values.Refuse("tpm", "device", wrong.TrimEnd('.'));

        uint signing = Handle("signing_handle", 0x81018A01);
        uint decryption = Handle("decryption_handle", 0x81018A02);
        if (signing == decryption)
        {
            _values.Refuse("tpm", FirstGiven("tpm", "decryption_handle", "signing_handle"),
                "signing_handle and decryption_handle must differ");
        }

        return new TpmConfig(device, signing, decryption, ReadFallback(paths));
    }

    private FallbackConfig? ReadFallback(PathsConfig paths)
    {
        string fallback = _values.Text("tpm", "fallback") ?? "off";
        string storage = _paths.Absolute("tpm", "fallback_encrypted_storage", paths.State + "/secret.enc");
        string? keyFile = _paths.Optional("tpm", "fallback_key_file");
        if (fallback is not ("off" or "on_loss"))
            _values.Refuse("tpm", "fallback", $"\"{fallback}\" is unknown; give \"off\" or \"on_loss\"");
        string directory = Path.GetDirectoryName(storage) ?? "/";
        string file = Path.GetFileName(storage);
        if (!IsStorageName(file))
        {
            _values.Refuse("tpm", "fallback_encrypted_storage",
                $"\"{file}\" is no name for fallback_encrypted_storage; give a plain one that ends in .enc");
        }

        if (fallback != "on_loss")
            return null;
        if (keyFile is null)
        {
            if (!_values.Given("tpm", "fallback_key_file"))
            {
                _values.Refuse("tpm", "fallback", "fallback = \"on_loss\" needs fallback_key_file: a file or systemd "
                    + "credential kept apart from this disk");
            }

            return null;
        }

        _files.FallbackKey(keyFile);
        return new FallbackConfig(directory, file, keyFile);
    }

    // It may stand beside the files of the state, none of which ends so.
    private static bool IsStorageName(string name) =>
        name.Length is > 4 and <= 100 && name.EndsWith(".enc", StringComparison.Ordinal) && name[0] != '.'
        && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_');

    // TCG Registry of Reserved TPM 2.0 Handles §2.3: owner persistent objects; 0x81000001 is the storage root key.
    private uint Handle(string key, uint standard)
    {
        long handle = _values.Integer("tpm", key, 0x81000002, 0x817FFFFF) ?? standard;
        return (uint)handle;
    }

    private PosConfig ReadPos(PathsConfig paths)
    {
        int perUid = Count("pos", "connections_per_uid", 64, 10_000);
        int all = Count("pos", "connections", 256, 10_000);
        if (perUid > all)
        {
            _values.Refuse("pos", FirstGiven("pos", "connections_per_uid", "connections"),
                $"connections_per_uid ({perUid}) exceeds connections ({all}); raise the second or lower the first");
        }

        return new PosConfig(
            _paths.Socket("pos", "socket", paths.Runtime + "/pos.sock"),
            _values.Ids("pos", "allowed_uids", MaxIds) ?? [], _values.Ids("pos", "allowed_gids", MaxIds) ?? [],
            Count("pos", "rate", 200, 1_000_000), Count("pos", "burst", 400, 1_000_000), perUid, all,
            Seconds("pos", "header_timeout", 5, 1, 300), Seconds("pos", "idle_timeout", 60, 1, 3_600),
            Bytes("request_bytes", LocalApiLimits.RequestBytes), Bytes("head_bytes", LocalApiLimits.HeadBytes));
    }

    private ManagementConfig ReadManagement(PathsConfig paths)
    {
        var allowed = _values.Ids("management", "allowed_uids", MaxIds);
        var admins = _values.Ids("management", "admin_uids", MaxIds);
        var viewers = _values.Ids("management", "viewer_uids", MaxIds) ?? [];
        if (_values.Given("management", "allowed_uids")
            && (_values.Given("management", "admin_uids") || _values.Given("management", "viewer_uids")))
        {
            _values.Refuse("management", "allowed_uids",
                "allowed_uids makes every listed UID an admin; use it alone, or use admin_uids and viewer_uids");
        }

        var both = (admins ?? []).Intersect(viewers).ToList();
        if (both.Count > 0)
        {
            _values.Refuse("management", "viewer_uids",
                $"UID {string.Join(", ", both)} is in admin_uids and in viewer_uids; keep one of them");
        }

        (byte[]? ca, byte[]? crl) = _files.Operators();
        bool required = _values.Boolean("management", "require_certificate") ?? false;
        if (required && !_values.Given("management", "ca_cert"))
        {
            _values.Refuse("management", "require_certificate",
                "require_certificate needs ca_cert, or nobody could sign in; give the authority of the operators");
        }

        return new ManagementConfig(
            _paths.Socket("management", "socket", paths.Runtime + "/admin.sock"), admins ?? allowed ?? [], viewers,
            required, ca, crl, ReadHttps());
    }

    private HttpsConfig? ReadHttps()
    {
        byte[]? pem = _files.Https();
        if (_values.Text("management", "https_listen") is not { } listen)
        {
            if (pem is not null)
                _values.Refuse("management", "https_cert", "https_cert is for https_listen, which is not set");
            return null;
        }

        if (!IPEndPoint.TryParse(listen, out IPEndPoint? at) || !IPAddress.IsLoopback(at.Address) || at.Port == 0)
        {
            _values.Refuse("management", "https_listen", $"\"{listen}\" is no place to listen; give 127.0.0.1:PORT or "
                + "[::1]:PORT, management is for this machine alone");
            return null;
        }

        foreach (string needed in (string[])["https_cert", "https_key", "ca_cert"])
        {
            if (!_values.Given("management", needed))
                _values.Refuse("management", "https_listen", $"https_listen needs {needed}");
        }

        return pem is null ? null : new HttpsConfig(at, pem);
    }

    private AuditConfig ReadAudit(PathsConfig paths)
    {
        string onFailure = _values.Text("audit", "on_failure") ?? "continue";
        if (onFailure is not ("continue" or "refuse"))
            _values.Refuse("audit", "on_failure", $"\"{onFailure}\" is unknown; give \"continue\" or \"refuse\"");
        long segment = _values.Integer("audit", "segment_bytes", SegmentBytesMin, 1L << 30) ?? 64L << 20;
        long max = _values.Integer("audit", "max_bytes", 2 * SegmentBytesMin, 1L << 40) ?? 2L << 30;
        if (max < 2 * segment)
        {
            _values.Refuse("audit", FirstGiven("audit", "max_bytes", "segment_bytes"),
                $"max_bytes ({max}) is less than two segments of segment_bytes ({segment}); raise the first");
        }

        return new AuditConfig(
            _paths.Absolute("audit", "path", paths.Logs + "/audit.log"),
            onFailure == "refuse" ? AuditFailure.Refuse : AuditFailure.Continue,
            Seconds("audit", "retention", 90 * 86_400, 3_600), max, segment);
    }

    // A rule between two keys is reported where an operator wrote one of them.
    private string FirstGiven(string section, string first, string second) =>
        _values.Given(section, first) ? first : second;

    // Below, no license token fits; above, a few connections hold more than the agent itself.
    private int Bytes(string key, int standard) => (int)(_values.Integer("pos", key, 4096, 65_536) ?? standard);

    private int Count(string section, string key, int standard, int max) =>
        (int)(_values.Integer(section, key, 1, max) ?? standard);

    private TimeSpan Seconds(string section, string key, int standard, int min, int max = MaxSeconds) =>
        TimeSpan.FromSeconds(_values.Integer(section, key, min, max) ?? standard);
}
