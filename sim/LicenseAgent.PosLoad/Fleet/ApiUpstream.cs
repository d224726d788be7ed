using System.Security.Cryptography.X509Certificates;
using System.Text;
using LicenseAgent.Daemon.Ports;
using LicenseServer.Agents;

namespace LicenseAgent.PosLoad.Fleet;

/// <summary>
/// The license server's API without HTTP and TLS: how a fleet is enrolled in a minute and not in an hour. The requests
/// are those that would travel. Several requests may be open.
/// </summary>
internal sealed class ApiUpstream(AgentApi api, string agentId) : IUpstream, IDisposable
{
    private X509Certificate2? _certificate;

    public void Configure(UpstreamSettings settings) => _certificate = settings.ClientPem is { } pem
        ? X509Certificate2.CreateFromPem(Encoding.ASCII.GetString(pem.Span))
        : null;

    public async Task<UpstreamAnswer> ExchangeAsync(
        string method, string path, ReadOnlyMemory<byte> body, TimeSpan deadline, CancellationToken cancel)
    {
        string[] parts = path.Split('?', 2);
        AgentReply reply = await api.HandleAsync(new AgentCall(
            method, parts[0], parts.Length > 1 ? parts[1] : null, "application/jose", _certificate, agentId, body));
        return new UpstreamAnswer(
            reply.Status, reply.Body, reply.RetryAfterS is { } s ? TimeSpan.FromSeconds(s) : null);
    }

    public void Dispose() => _certificate?.Dispose();
}
