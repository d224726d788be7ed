namespace LicenseAgent.Daemon.Config;

/// <summary>Whether a text has the shape of <c>tpm.device</c>.</summary>
internal static class TpmDeviceText
{
    public static bool IsValid(string text)
    {
        if (text.Any(char.IsControl))
            return false;
        if (Rest(text, "device:") is { } device)
            return device.StartsWith('/');
        if (Rest(text, "swtpm:unix:") is { } socket)
            return socket.StartsWith('/');
        return (Rest(text, "swtpm:") ?? Rest(text, "mssim:")) is { } host && IsHostAndPort(host);
    }

    private static string? Rest(string text, string prefix) =>
        text.StartsWith(prefix, StringComparison.Ordinal) ? text[prefix.Length..] : null;

    private static bool IsHostAndPort(string text)
    {
        int colon = text.LastIndexOf(':');
        return colon > 0 && ushort.TryParse(text.AsSpan(colon + 1), out ushort port) && port > 0
            && Uri.CheckHostName(text[..colon].Trim('[', ']')) != UriHostNameType.Unknown;
    }
}
