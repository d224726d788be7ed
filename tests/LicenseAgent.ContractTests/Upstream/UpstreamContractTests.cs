using System.Security.Cryptography;
using LicenseAgent.ContractTests.Contracts;
using LicenseAgent.Daemon.Adapters.Tls;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Testbed.Net;
using LicenseAgent.Testbed.Processes;
using LicenseAgent.Testbed.Servers;
using LicenseAgent.UnitTests.Server.Contract;

namespace LicenseAgent.ContractTests.Upstream;

/// <summary>The contract on real TLS, through a network that is told its faults, to the real license server.</summary>
public sealed class UpstreamContractTests : UpstreamContract
{
    private protected override async Task<UpstreamBench> StartAsync() => await RealWay.OpenAsync();
}

/// <summary>The agent's TLS, the testbed's network, the license server; its deadline passes when the test says so.</summary>
internal sealed class RealWay : UpstreamBench
{
    private const string AgentId = "pos-001";

    // The answer is longer than where it is cut, and what a handshake takes is far less than either.
    private const int CutAt = 100_000;
    private const int CutAnswer = 200_000;

    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(30);

    private readonly Workplace _place;
    private readonly HostedLicenseServer _server;
    private readonly EnrollmentBundle _bundle;
    private readonly ByteProxy _network;
    private readonly DeadlineClock _time = new();
    private readonly TlsUpstream _upstream;
    private readonly byte[] _request;
    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _over = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private WayFault _fault;

    private RealWay(Workplace place, HostedLicenseServer server, EnrollmentBundle bundle)
    {
        (_place, _server, _bundle) = (place, server, bundle);
        _network = ByteProxy.Start(new Uri(server.Url).Port);
        _upstream = new TlsUpstream(_time);
        _upstream.Configure(Settings(bundle.Pins));
        RealAgent agent = new();
        _request = agent.Sign(agent.EnrollRequest(bundle));
    }

    public override bool HasEnrolled => _server.AuditEvents().Contains("agent_enrolled");

    public static async Task<RealWay> OpenAsync()
    {
        Workplace place = new();
        HostedLicenseServer server = await HostedLicenseServer.StartAsync(
            place, new ServerSettings(), Xunit.TestContext.Current.CancellationToken);
        return new RealWay(place, server, await server.AddAgentAsync(AgentId));
    }

    public override async Task SetAsync(WayFault fault)
    {
        _fault = fault;
        _server.Faults.Heal();
        _network.Conditions = new NetworkConditions
        {
            Mode = fault == WayFault.RequestLost ? NetworkMode.Blackhole : NetworkMode.Pass,
            CloseAfterBytes = fault == WayFault.AnswerCut ? CutAt : 0,
        };
        switch (fault)
        {
            case WayFault.Refused:
                // Nobody listens there any more.
                await _network.DisposeAsync();
                break;
            case WayFault.AnswerLost:
                OnCommit(() => _network.Conditions = new NetworkConditions { Mode = NetworkMode.HalfOpen });
                break;
            case WayFault.AnswerCut:
                _server.Faults.Add(new ServerFault
                {
                    Match = "*",
                    AfterCommit = true,
                    Status = 200,
                    Body = new string('a', CutAnswer),
                });
                break;
            case WayFault.Portal:
                _server.Faults.Add(new ServerFault { Match = "*", Times = 0, Status = 200, Body = "<html>Free WiFi</html>" });
                break;
            case WayFault.AnotherKey:
                _upstream.Configure(Settings([SpkiPin.Of(new byte[91]).ToString()]));
                break;
        }
    }

    public override async Task<UpstreamAnswer> EnrolAsync(bool cancels = false)
    {
        using CancellationTokenSource ends = new();
        if (cancels)
        {
            // The server stays at it, so that no answer comes before the end.
            OnCommit(() => { }, _over.Task);
        }

        Task<UpstreamAnswer> exchange = _upstream.ExchangeAsync(
            "POST", AgentPaths.Enroll, _request, s_deadline, ends.Token);
        if (cancels)
        {
            await _done.Task;
            await ends.CancelAsync();
        }
        else if (_fault is WayFault.RequestLost or WayFault.AnswerLost)
        {
            await (_fault == WayFault.AnswerLost ? _done.Task : _time.Armed);
            _time.Pass();
        }

        return await exchange;
    }

    public override Task<UpstreamAnswer> FetchKeysetAsync() =>
        _upstream.ExchangeAsync("GET", AgentPaths.Keyset, default, s_deadline, default);

    public override async ValueTask DisposeAsync()
    {
        _over.TrySetResult();
        _upstream.Dispose();
        if (_fault != WayFault.Refused)
            await _network.DisposeAsync();
        await _server.DisposeAsync();
        _place.Dispose();
    }

    /// <summary>Once, when the work of a request is durable and its answer has not left.</summary>
    private void OnCommit(Action does, Task? holds = null) => _server.Faults.Add(
        new ServerFault { Match = "*", AfterCommit = true },
        async _ =>
        {
            does();
            _done.TrySetResult();
            await (holds ?? Task.CompletedTask);
        });

    private UpstreamSettings Settings(IReadOnlyList<string> pins)
    {
        if (!Base64UrlText.TryDecode(_bundle.CaCert, out byte[] authority))
            throw new InvalidOperationException("The bundle's authority is no base64url.");
        return new UpstreamSettings(
            $"https://127.0.0.1:{_network.Port}", _bundle.ServerName, pins, authority, null,
            UtcTime.From(TimeProvider.System.GetUtcNow()));
    }

    /// <summary>An agent with keys in memory.</summary>
    private sealed class RealAgent() : AgentDouble(RealWay.AgentId)
    {
        // Making an RSA key takes longer than most tests; whose key it is matters to none.
        private static readonly RSA s_decryption = RSA.Create(2048);

        private readonly ECDsa _signing = ECDsa.Create(ECCurve.NamedCurves.nistP256);

        protected override UtcTime ServerNow => UtcTime.From(TimeProvider.System.GetUtcNow());

        protected override AgentKeys Keys => new(
            EcPublicJwk.From(_signing), RsaPublicJwk.FromModulus(s_decryption.ExportParameters(false).Modulus));

        public override byte[] Sign(AgentRequest request) => CompactJws.Create(
            new JwsHeader(AgentId, JoseTypes.AgentRequest), Payload(request), data => Es256.Sign(_signing, data));

        public override Task<ServerAnswer?> AskAsync(string action, byte[] body) => throw new NotSupportedException();

        public override byte[] Unwrap(RotateSecretAnswer answer) => throw new NotSupportedException();
    }
}
