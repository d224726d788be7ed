namespace LicenseAgent.Daemon.Config;

/// <summary><c>[alerts]</c>: where alerts are sent, and the secret that signs them.</summary>
internal sealed class AlertValues(ConfigValues values, PathValues paths, Func<string, NamedFile> read)
{
    private const string Section = "alerts";

    // Shorter ones can be guessed from one notice; a longer file is some other file.
    private const int SecretBytesMin = 16;
    private const int SecretBytesMax = 1024;

    public AlertsConfig Read()
    {
        string? url = values.Text(Section, "webhook_url");
        string? file = paths.Optional(Section, "webhook_secret_file");
        bool both = values.Given(Section, "webhook_url") && values.Given(Section, "webhook_secret_file");
        if (!both)
        {
            if ((url ?? file) is not null)
            {
                values.Refuse(Section, url is null ? "webhook_secret_file" : "webhook_url",
                    "webhook_url and webhook_secret_file belong together; give both or none");
            }

            return AlertsConfig.None;
        }

        if (url is not null && !IsUsable(url))
        {
            values.Refuse(Section, "webhook_url",
                $"\"{url}\" is not usable; give https://HOST/PATH without a user name, or http:// on this machine");
        }

        byte[]? secret = file is null ? null : Secret(file);
        return url is null || secret is null ? AlertsConfig.None : new AlertsConfig(url, secret);
    }

    /// <summary>What is sent names the till and its troubles: in clear it does not leave the machine.</summary>
    private static bool IsUsable(string url) =>
        Uri.TryCreate(url, UriKind.Absolute, out Uri? uri) && uri.UserInfo == "" && uri.Fragment == ""
        && (uri.Scheme == Uri.UriSchemeHttps || (uri.Scheme == Uri.UriSchemeHttp && uri.IsLoopback));

    private byte[]? Secret(string path)
    {
        NamedFile file = read(path);
        byte[]? secret = file.Content?.AsSpan().TrimEnd("\r\n"u8).ToArray();
        if (secret is { Length: >= SecretBytesMin and <= SecretBytesMax })
            return secret;
        values.Refuse(Section, "webhook_secret_file", secret is null
            ? $"{path} cannot be read ({file.Wrong}); put the secret there"
            : $"{path} has {secret.Length} bytes; put a secret of {SecretBytesMin} to {SecretBytesMax} there");
        return null;
    }
}
