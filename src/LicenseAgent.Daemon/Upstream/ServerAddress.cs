using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Daemon.Upstream;

/// <summary>
/// Where the server is: what the bundle brought, the configuration where it says otherwise, and the pins of both and of
/// the keyset.
/// </summary>
internal static class ServerAddress
{
    public static UpstreamSettings Of(
        ServerConfig config, string url, string name, IReadOnlyList<string> bundlePins,
        IReadOnlyList<string> keysetPins, string bundleCa, ReadOnlyMemory<byte>? clientPem, UtcTime verificationTime)
    {
        Base64UrlText.TryDecode(bundleCa, out byte[] fromBundle);
        IReadOnlyList<string> pins = config.CertPins.Count > 0 ? config.CertPins : bundlePins;
        return new UpstreamSettings(
            config.Url ?? url, name, [.. pins.Concat(keysetPins).Distinct(StringComparer.Ordinal)],
            config.CaPem ?? fromBundle, clientPem ?? config.ClientPem, verificationTime);
    }
}
