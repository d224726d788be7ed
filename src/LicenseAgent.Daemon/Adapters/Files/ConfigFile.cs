using System.Collections;
using LicenseAgent.Daemon.Config;

namespace LicenseAgent.Daemon.Adapters.Files;

/// <summary>Reads <c>config.toml</c> and the process's environment for <see cref="ConfigReader"/>.</summary>
internal static class ConfigFile
{
    public const string DefaultPath = "/etc/license-agent/config.toml";

    private const int MaxNamedBytes = 64 * 1024; // a chain of ten certificates has 15 KiB

    public static ConfigOutcome Load(string path) => Load(path, ProcessEnvironment());

    public static ConfigOutcome Load(string path, IReadOnlyDictionary<string, string> environment)
    {
        try
        {
            using var file = File.OpenRead(path);
            if ((File.GetUnixFileMode(file.SafeFileHandle) & UnixFileMode.OtherWrite) != 0)
                return Refused("everybody may write this file, and with it say who is an admin; run chmod o-w on it");
            // One byte beyond the limit is enough for the reader to refuse it.
            byte[] content = new byte[TomlReader.MaxBytes + 1];
            int length = file.ReadAtLeast(content, content.Length, throwOnEndOfStream: false);
            return ConfigReader.Read(content.AsSpan(0, length), environment, ReadNamed);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return Refused($"the file cannot be read ({error.Message}); put one there or name another with --config");
        }
    }

    private static NamedFile ReadNamed(string path)
    {
        try
        {
            using var file = File.OpenRead(path);
            byte[] content = new byte[MaxNamedBytes + 1];
            int length = file.ReadAtLeast(content, content.Length, throwOnEndOfStream: false);
            return length <= MaxNamedBytes
                ? new NamedFile(content[..length], null)
                : new NamedFile(null, $"it has more than {MaxNamedBytes} bytes");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return new NamedFile(null, error.Message);
        }
    }

    private static ConfigOutcome Refused(string message) => new(null, [new ConfigError(0, null, message)]);

    private static Dictionary<string, string> ProcessEnvironment() =>
        Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
            .ToDictionary(pair => (string)pair.Key, pair => (string?)pair.Value ?? "", StringComparer.Ordinal);
}
