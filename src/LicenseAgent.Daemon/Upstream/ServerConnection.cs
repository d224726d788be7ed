using LicenseAgent.Core;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Enrolment;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.State;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Daemon.Upstream;

/// <summary>
/// How the server is reached by an enrolled till: which certificate the agent shows, and by which time the server's is
/// judged. Owned by the loop's thread.
/// </summary>
/// <param name="config">What is in force now; a reload replaces it, and the next request goes by it.</param>
internal sealed class ServerConnection(
    AgentPorts ports, Func<ServerConfig> config, AgentFile agent, IReadOnlyList<string> keysetPins, UtcTime buildTime)
{
    /// <summary>
    /// How much proven now may have moved before connections are made anew. They live for seconds, and no certificate
    /// is cut to the hour.
    /// </summary>
    private static readonly TimeSpan JudgedAfresh = TimeSpan.FromHours(1);

    private readonly TlsFiles _files = new(ports.StateFiles);
    private IReadOnlyList<byte[]> _pairs = [];
    private IReadOnlyList<string> _keysetPins = keysetPins;
    private UtcTime? _judgedBy;
    private ServerConfig? _configured;

    /// <summary>Of the certificate shown at present.</summary>
    public CertificateLife? Certificate { get; private set; }

    /// <exception cref="IdentityDamagedException">There is no certificate to show.</exception>
    public async Task OpenAsync(CancellationToken cancel)
    {
        IReadOnlyList<byte[]> own = await _files.ReadAsync(cancel);
        if (own.Count == 0 && config().ClientPem is { } configured)
        {
            own = [configured.ToArray()];
        }

        Show(own.Count > 0 ? own : throw TlsFiles.Damaged());
    }

    /// <summary>
    /// Before a request: the server's certificate must not have ended before what is proven, and the address is the one
    /// that is configured now.
    /// </summary>
    public void JudgeBy(UtcTime? provenNow)
    {
        UtcTime by = UtcTime.Max(provenNow ?? buildTime, buildTime);
        bool replaced = !ReferenceEquals(_configured, config());
        if (replaced || _judgedBy is not { } before || (by - before).Duration() >= JudgedAfresh)
        {
            _judgedBy = by;
            Configure();
        }
    }

    /// <summary>Pins of a newer keyset, instead of those so far.</summary>
    public void Accept(IReadOnlyList<string> pins)
    {
        _keysetPins = pins;
        Configure();
    }

    public Task<byte[]> RequestAsync(CancellationToken cancel) => _files.RequestAsync(agent.AgentId, cancel);

    public Task<CertificateLife> LifeOfAsync(IReadOnlyList<string> chain, CancellationToken cancel) =>
        _files.LifeOfAsync(chain, cancel);

    public async Task TakeIntoUseAsync(IReadOnlyList<string> chain, CancellationToken cancel)
    {
        byte[] renewed = await _files.TakeIntoUseAsync(chain, cancel);
        Show([renewed, .. _pairs.Take(1)]);
    }

    /// <summary>
    /// The handshake broke, and that may be because of the certificate shown: the other one has its turn, and the next
    /// time this one again.
    /// </summary>
    public void Broke(NoContactException failure)
    {
        if (_pairs.Count == 2 && failure.Reason is "tls_refused" or "tls_handshake" or "incomplete")
        {
            Show([_pairs[1], _pairs[0]]);
        }
    }

    private void Show(IReadOnlyList<byte[]> pairs)
    {
        _pairs = pairs;
        Certificate = TlsFiles.TryReadLife(pairs[0], out CertificateLife? life) ? life : null;
        Configure();
    }

    private void Configure()
    {
        _configured = config();
        ports.Upstream.Configure(ServerAddress.Of(
            _configured, agent.ServerUrl, agent.ServerName, agent.Pins, _keysetPins, agent.CaCert, _pairs[0],
            _judgedBy ?? buildTime));
    }
}
