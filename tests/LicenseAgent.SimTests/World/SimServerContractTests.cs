using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Protocol.Tokens;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.World;
using LicenseAgent.Sim.World.Server;
using LicenseAgent.UnitTests.Server.Contract;
using Xunit;

namespace LicenseAgent.SimTests.World;

// The simulated server is held to every rule that the real one is held to: the same tests, run here on the model.

public sealed class SimServerRotationTests : RotationTableContract
{
    private protected override Task<ServerBench> StartAsync() => ModelServer.StartAsync();
}

public sealed class SimServerRetryTests : RetryContract
{
    private protected override Task<ServerBench> StartAsync() => ModelServer.StartAsync();
}

public sealed class SimServerCheckInTests : CheckInContract
{
    private protected override Task<ServerBench> StartAsync() => ModelServer.StartAsync();
}

public sealed class SimServerEnrollmentTests : EnrollmentContract
{
    private protected override Task<ServerBench> StartAsync() => ModelServer.StartAsync();
}

public sealed class SimServerCloneTests : CloneContract
{
    private protected override Task<ServerBench> StartAsync() => ModelServer.StartAsync();
}

/// <summary>The simulator's server on a loop whose time the test moves.</summary>
internal sealed class ModelServer : ServerBench
{
    private const string AgentId = "pos-001";

    public ModelServer()
    {
        History = new Chronicle(Loop.Trace);
        ServerPolicy policy = new(TimeSpan.FromDays(1), TimeSpan.FromDays(7), TimeSpan.FromMinutes(15));
        Server = new SimServer(Loop, History, policy, Chance);
    }

    public SimLoop Loop { get; } = new(1);

    public Chronicle History { get; }

    public SimServer Server { get; }

    public SimRandom Chance { get; } = SimRandom.Of(1, "server", "contract");

    public override UtcTime Now => Server.Now;

    public override long Highest => Server.Find(AgentId)!.Highest;

    public override string? CloneEvidence => Server.Find(AgentId)!.CloneEvidence;

    public override bool AuditRegressed => History.All.OfType<WitnessGiven>().Any(w => w.Conflict);

    public override IReadOnlyList<string>? AuditEvents => null;

    public static Task<ServerBench> StartAsync() => Task.FromResult<ServerBench>(new ModelServer());

    public override void Pass(TimeSpan time) => Assert.True(Loop.RunUntil(Loop.NowUs + (time.Ticks / 10), maxSteps: 1_000));

    public override AgentDouble NewAgent(string agentId = AgentId) => new ModelAgent(this, agentId);

    public override Task<EnrollmentBundle> AddAsync(string agentId = AgentId) => Task.FromResult(Server.Add(agentId));

    public override string States(string agentId = AgentId)
    {
        SortedDictionary<long, ServerVersion> versions = Server.Find(agentId)!.Versions;
        char[] letters = [.. Enumerable.Repeat('-', (int)versions.Keys.LastOrDefault())];
        foreach ((long version, ServerVersion row) in versions)
        {
            letters[version - 1] = row.State.ToString()[0];
        }

        return new string(letters);
    }

    public override Task<Func<Task>> BackupAsync()
    {
        SortedDictionary<string, AgentBooks> copy = Server.Backup();
        return Task.FromResult<Func<Task>>(() => Done(() => Server.Restore(copy)));
    }

    public override Task SuspendAsync(bool suspended) => Done(() => Server.Suspend(AgentId, suspended));

    public override Task LimitGraceAsync(UtcTime? until) => Done(() => Server.LimitGrace(AgentId, until));

    public override Task RotateNowAsync() => Done(() => Server.RotateNow(AgentId));

    public override Task InvalidateBelowAsync(long version) => Done(() => Server.InvalidateBelow(AgentId, version));

    public override Task ApproveRecoveryAsync() => Done(() => Server.ApproveRecovery(AgentId));

    public override Task RevokeAsync(string licenseId) => Done(() => Server.Revoke(AgentId, licenseId));

    public override ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static Task Done(Action order)
    {
        order();
        return Task.CompletedTask;
    }
}

/// <summary>An agent at the simulated server, with the stand-ins for its cryptography.</summary>
internal sealed class ModelAgent(ModelServer model, string agentId) : AgentDouble(agentId)
{
    private readonly EcPublicJwk _signing = StandInCrypto.NewSigningKey(model.Chance);
    private readonly RsaPublicJwk _decryption = StandInCrypto.NewDecryptionKey(model.Chance);

    protected override UtcTime ServerNow => model.Now;

    protected override AgentKeys Keys => new(_signing, _decryption);

    public override byte[] Sign(AgentRequest request) => CompactJws.Create(
        new JwsHeader(AgentId, JoseTypes.AgentRequest), Payload(request), data => StandInCrypto.Sign(_signing, data));

    public override Task<ServerAnswer?> AskAsync(string action, byte[] body)
    {
        ServerReply reply = model.Server.Handle("POST", PathOf(action), body);
        return Task.FromResult(reply.IsSigned
            ? Read(CompactJws.Parse(reply.Body, JoseTypes.ServerResponse, AgentApiLimits.AnswerBytes).Payload,
                reply.Status, action)
            : null);
    }

    public override byte[] Unwrap(RotateSecretAnswer answer)
    {
        ParsedSecretJwe parsed = SecretJwe.Parse(System.Text.Encoding.ASCII.GetBytes(answer.NewSecretEncrypted));
        byte[] contentKey = new byte[32];
        byte[] secret = new byte[32];
        Assert.Equal(32, StandInCrypto.Unwrap(_decryption, parsed.EncryptedKey, contentKey));
        Assert.True(SecretJwe.Open(parsed, contentKey, secret));
        return secret;
    }
}
