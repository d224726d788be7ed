using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Sim.World.Server;

/// <summary>The agents' certificates: given at the enrolment, and anew to whoever signs with the enrolled key.</summary>
internal sealed partial class SimServer
{
    private RenewCertificateAnswer Renew(RenewCertificateRequest request) => new(
        request.AgentId, request.RequestId, request.Nonce, request.Action, Now, [CertificateOver(request.Csr)]);

    private string CertificateOver(string request64) => ServerIdentity.CertificateOver(
        request64, Policy.CertificateLife > TimeSpan.Zero ? (Now, Now + Policy.CertificateLife) : null);
}
