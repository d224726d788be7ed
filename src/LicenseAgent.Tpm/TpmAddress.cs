using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace LicenseAgent.Tpm;

/// <summary>The kinds of TPM that can be spoken to.</summary>
public enum TpmAddressKind
{
    Device,
    SwtpmTcp,
    SwtpmUnix,
    Mssim,
}

/// <summary>
/// A parsed <c>tpm.device</c>: <paramref name="Path"/> for devices and Unix sockets, else host and port.
/// </summary>
public sealed record TpmAddress(TpmAddressKind Kind, string Path, string Host, int Port)
{
    // sockaddr_un.sun_path with its terminating zero is 108 bytes.
    private const int UnixPathMax = 107;

    /// <summary>
    /// Reads a <c>tpm.device</c>; <paramref name="error"/> says what is wrong and what would be right.
    /// </summary>
    public static bool TryParse(
        string text, [NotNullWhen(true)] out TpmAddress? address, [NotNullWhen(false)] out string? error)
    {
        address = null;
        error = null;
        if (Rest(text, "device:") is { } device)
            address = device.StartsWith('/') ? new TpmAddress(TpmAddressKind.Device, device, "", 0) : null;
        else if (Rest(text, "swtpm:unix:") is { } socket)
            address = IsSocketPath(socket) ? new TpmAddress(TpmAddressKind.SwtpmUnix, socket, "", 0) : null;
        else if (Rest(text, "swtpm:") is { } swtpm)
            address = HostAndPort(TpmAddressKind.SwtpmTcp, swtpm, 65535);
        else if (Rest(text, "mssim:") is { } mssim)
            address = HostAndPort(TpmAddressKind.Mssim, mssim, 65534);

        if (address is not null) return true;
        error = $"\"{text}\" is no TPM address; use device:/dev/tpmrm0, swtpm:HOST:PORT, swtpm:unix:/PATH or "
            + "mssim:HOST:PORT, with absolute paths.";
        return false;
    }

    public override string ToString() => Kind switch
    {
        TpmAddressKind.Device => $"device:{Path}",
        TpmAddressKind.SwtpmUnix => $"swtpm:unix:{Path}",
        TpmAddressKind.Mssim => $"mssim:{Host}:{Port}",
        _ => $"swtpm:{Host}:{Port}",
    };

    private static string? Rest(string text, string prefix) =>
        text.StartsWith(prefix, StringComparison.Ordinal) ? text[prefix.Length..] : null;

    private static bool IsSocketPath(string path) =>
        path.StartsWith('/') && System.Text.Encoding.UTF8.GetByteCount(path) <= UnixPathMax;

    // The MS simulator's platform port is the one after its command port, hence the lower limit there.
    private static TpmAddress? HostAndPort(TpmAddressKind kind, string text, int portMax)
    {
        var colon = text.LastIndexOf(':');
        if (colon <= 0) return null;
        var host = text[..colon].TrimStart('[').TrimEnd(']');
        return int.TryParse(text[(colon + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out var port)
            && port >= 1 && port <= portMax
            ? new TpmAddress(kind, "", host, port)
            : null;
    }
}
