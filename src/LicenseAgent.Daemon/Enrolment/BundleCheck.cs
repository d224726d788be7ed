using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Keysets;

namespace LicenseAgent.Daemon.Enrolment;

/// <summary>A bundle that cannot be used; nothing was changed.</summary>
internal sealed class BundleException(string message)
    : EnvironmentException("bundle", message, retryable: false, null);

/// <summary>Whether a bundle can be used on this till.</summary>
internal static class BundleCheck
{
    /// <param name="provenNow">
    /// Later than this it certainly is. The wall clock of a new till may be years off, and the server judges the token.
    /// </param>
    public static void Require(EnrollmentBundle bundle, AgentConfig config, UtcTime provenNow)
    {
        Unless(bundle.Format == 1, $"The bundle has format {bundle.Format}, this program knows 1.");
        Unless(AgentId.IsValid(bundle.AgentId), "The bundle's agent_id is not a valid name.");
        Unless(
            config.Agent.Id is null || config.Agent.Id == bundle.AgentId,
            $"The bundle is for {bundle.AgentId}, agent.id in the configuration is {config.Agent.Id}.");
        Unless(
            Uri.TryCreate(bundle.ServerUrl, UriKind.Absolute, out Uri? url) && url.Scheme == "https",
            "The bundle's server_url is not an https address.");
        Unless(
            bundle.Pins.Count is > 0 and <= 16 && bundle.Pins.All(p => SpkiPin.TryParse(p, out _)),
            "The bundle's pins must be 1 to 16 of the form sha256:….");
        Unless(
            Base64UrlText.TryDecode(bundle.CaCert, out byte[] ca) && ca.Length is > 0 and <= 16_384,
            "The bundle's ca_cert is not a certificate.");
        Unless(
            provenNow < bundle.ExpiresAt,
            $"The bundle expired at {bundle.ExpiresAt}; write a new one with license-server agents add.");
    }

    private static void Unless(bool good, string message)
    {
        if (!good)
        {
            throw new BundleException(message);
        }
    }
}
