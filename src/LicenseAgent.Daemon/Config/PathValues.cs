using System.Text;

namespace LicenseAgent.Daemon.Config;

/// <summary>Values that are paths: absolute, or below the directory systemd gives credentials in.</summary>
internal sealed class PathValues(ConfigValues values, IReadOnlyDictionary<string, string> environment)
{
    private const string CredentialsVariable = "CREDENTIALS_DIRECTORY";

    // unix(7): sun_path has 108 bytes, the last one a zero.
    private const int MaxSocketPathBytes = 107;

    public string Absolute(string section, string key, string standard) => Optional(section, key) ?? standard;

    public string? Optional(string section, string key)
    {
        if (values.Text(section, key) is not { } text)
            return null;
        string? path = Expand(section, key, text);
        if (path is null || IsPlain(path))
            return path;
        values.Refuse(section, key, $"{key} = \"{text}\" is not usable; give an absolute path without \"..\" and "
            + "control characters");
        return null;
    }

    public string Socket(string section, string key, string standard)
    {
        string path = Absolute(section, key, standard);
        if (Encoding.UTF8.GetByteCount(path) > MaxSocketPathBytes)
        {
            string setBy = values.Given(section, key) ? key : "runtime";
            values.Refuse(setBy == key ? section : "paths", setBy,
                $"\"{path}\" is too long for a socket: at most {MaxSocketPathBytes} bytes; choose a shorter path");
        }

        return path;
    }

    private string? Expand(string section, string key, string text)
    {
        const string Start = "$" + CredentialsVariable + "/";
        if (!text.StartsWith(Start, StringComparison.Ordinal))
            return text;
        if (environment.GetValueOrDefault(CredentialsVariable) is { Length: > 0 } directory)
            return $"{directory.TrimEnd('/')}/{text[Start.Length..]}";
        values.Refuse(section, key, $"{key} is below ${CredentialsVariable}, which is not set; systemd sets it for a "
            + "unit with LoadCredential=, elsewhere give an absolute path");
        return null;
    }

    private static bool IsPlain(string path) =>
        path.StartsWith('/') && !path.Any(char.IsControl) && !path.Split('/').Contains("..");
}
