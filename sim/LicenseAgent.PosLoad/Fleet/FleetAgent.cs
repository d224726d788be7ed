using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using LicenseAgent.Core;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.Upstream;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Protocol.Tokens;
using LicensePki;

namespace LicenseAgent.PosLoad.Fleet;

/// <summary>The moment a request is made in.</summary>
/// <param name="Timestamp">Of the request; what the server compares with its own.</param>
/// <param name="BootMs">Of the agent's machine; only ever rises.</param>
internal readonly record struct AgentMoment(UtcTime Timestamp, long BootMs, long Generation);

/// <summary>
/// An agent without a machine: the keys are in memory in place of a TPM, the audit log is the chain of its hashes.
/// Requests, their signatures, the connection and the checks of answers are the agent's own code. One request at a time.
/// </summary>
/// <param name="decryption">Shared: to make RSA keys for a fleet takes longer than the load.</param>
internal sealed class FleetAgent(string agentId, RSA decryption) : IDisposable
{
    private const string Version = "0.1.0";

    // As the agent's own default, server.timeout.
    private static readonly TimeSpan s_answerWithin = TimeSpan.FromSeconds(30);

    private readonly ECDsa _signing = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly SortedDictionary<long, byte[]> _secrets = [];
    private readonly string _bootId = Guid.NewGuid().ToString();
    private IUpstream? _upstream;
    private UpstreamSettings? _settings;
    private TrustedServer? _server;
    private AuditPoint _audit = new(0, default);
    private AuditPoint? _witnessed;

    public string AgentId { get; } = agentId;

    /// <summary>The version the server has confirmed last; 0 before the first.</summary>
    public long Active { get; private set; }

    /// <summary>As the server's answer to enrolment said; times are the server's.</summary>
    public EnrollAnswer? Enrolled { get; private set; }

    public FileReference Keyset => Server.Chain.Reference;

    private TrustedServer Server => _server ?? throw new InvalidOperationException($"{AgentId} is not enrolled.");

    private IUpstream Upstream => _upstream ?? throw new InvalidOperationException($"{AgentId} knows no server.");

    /// <summary>Enrols by a bundle.</summary>
    /// <param name="upstream">How the server is reached for now; owned by the caller.</param>
    /// <exception cref="InvalidOperationException">The server refused.</exception>
    /// <exception cref="NoContactException">It was not reached.</exception>
    public async Task EnrolAsync(
        EnrollmentBundle bundle, IUpstream upstream, AgentMoment moment, CancellationToken cancel)
    {
        Base64UrlText.TryDecode(bundle.CaCert, out byte[] authority);
        _settings = new UpstreamSettings(
            bundle.ServerUrl, bundle.ServerName, bundle.Pins, authority, null, moment.Timestamp);
        _upstream = upstream;
        upstream.Configure(_settings);
        UpstreamAnswer chain = await upstream.ExchangeAsync(
            "GET", AgentPaths.Keyset + "?after=0", default, s_answerWithin, cancel);
        _server = new TrustedServer(TrustedChain.FromPin(chain.Body, bundle.Keyset, Es256.Verify), AgentId, Es256.Verify);

        using ECDsa tls = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        EnrollRequest request = new(
            AgentId, NewRequestId(moment), NewNonce(), moment.Timestamp, AgentActions.Enroll, bundle.EnrollmentToken,
            new AgentKeys(EcPublicJwk.From(_signing), RsaPublicJwk.FromModulus(decryption.ExportParameters(false).Modulus)),
            Base64UrlText.Encode(AgentCsr.Create(tls, AgentId)), "");
        Enrolled = Wanted<EnrollAnswer>(await ExchangeAsync(AgentPaths.Enroll, request, cancel));
        StringBuilder pem = new(tls.ExportPkcs8PrivateKeyPem());
        foreach (string certificate in Enrolled.CertificateChain)
        {
            Base64UrlText.TryDecode(certificate, out byte[] der);
            pem.Append('\n').Append(PemEncoding.WriteString("CERTIFICATE", der));
        }

        _settings = _settings with { ClientPem = Encoding.ASCII.GetBytes(pem.Append('\n').ToString()) };
        upstream.Configure(_settings);
    }

    /// <summary>Takes another way to the server, with the certificate of the enrolment.</summary>
    /// <param name="upstream">Owned by this agent from here on.</param>
    /// <param name="url">Where the server is now.</param>
    public void Connect(IUpstream upstream, string url)
    {
        (_upstream as IDisposable)?.Dispose();
        _settings = _settings! with { Url = url };
        _upstream = upstream;
        upstream.Configure(_settings);
    }

    /// <summary>Sends what the plan says and gives back the verified answer.</summary>
    /// <exception cref="NoContactException">No answer came that verifies.</exception>
    public async Task<Exchanged> SendAsync(RequestPlan plan, AgentMoment moment, CancellationToken cancel)
    {
        AgentRequest request = Compose(plan, moment);
        Exchanged exchanged = await ExchangeAsync(Exchanger.PathOf(plan), request, cancel);
        switch (exchanged.Answer)
        {
            case ConfirmRotationAnswer confirmed:
                Active = confirmed.SecretVersion;
                break;
            case CheckInAnswer { Witness.Conflict: false } checkedIn:
                _witnessed = new AuditPoint(checkedIn.Witness.Seq, checkedIn.Witness.Head);
                break;
            default:
                break;
        }

        return exchanged with { SentBootMs = moment.BootMs };
    }

    /// <summary>A check-in that reports what is so.</summary>
    /// <returns>Why it was refused; <see langword="null"/> when it was not.</returns>
    public async Task<string?> CheckInAsync(AgentMoment moment, CancellationToken cancel)
    {
        Record("checked_in");
        RequestPlan.CheckIn plan = new(
            NewRequestId(moment), "NORMAL", null, Active, [.. _secrets.Keys], false, TpmReports.Ok, 0,
            Keyset.Version, _witnessed);
        return (await SendAsync(plan, moment, cancel)).Answer is RefusalAnswer refusal ? refusal.Error : null;
    }

    /// <summary>Prepare, unwrap, check, confirm.</summary>
    /// <returns>Why it was refused; <see langword="null"/> when it was not.</returns>
    public async Task<string?> RotateAsync(AgentMoment moment, CancellationToken cancel)
    {
        string kcv = Active == 0 ? "" : SecretKeys.Kcv(_secrets[Active]).ToString();
        RotationIntent intent = new(NewRequestId(moment), Active, kcv, RotationReasons.Scheduled);
        long highest = _secrets.Keys.LastOrDefault();
        Exchanged prepared = await SendAsync(
            new RequestPlan.Prepare(intent.RequestId, intent, highest), moment, cancel);
        if (prepared.Answer is not RotateSecretAnswer answer)
        {
            return ((RefusalAnswer)prepared.Answer).Error;
        }

        Stage(answer);
        Record("secret_staged");
        SecretEntry entry = new(
            answer.SecretVersion, SecretState.Pending, answer.Kcv, default, answer.ServerTime, answer.ValidFrom,
            answer.ValidUntil, answer.GraceUntil);
        PendingSecret pending = new(entry, answer.ConfirmBy, NewRequestId(moment), true, false);
        Exchanged confirmed = await SendAsync(
            new RequestPlan.Confirm(pending.ConfirmRequestId, pending), moment, cancel);
        if (confirmed.Answer is RefusalAnswer refusal)
        {
            return refusal.Error;
        }

        // What is no longer needed to prove anything; a whole agent keeps them for its grace.
        foreach (long old in _secrets.Keys.Where(v => v < Active).ToArray())
        {
            _secrets.Remove(old);
        }

        return null;
    }

    /// <summary>The smallest request that needs the client's certificate.</summary>
    /// <param name="isServer">Else the other side answers anything, and that is not looked at.</param>
    public async Task<string?> AskStatusAsync(bool isServer, CancellationToken cancel)
    {
        string path = $"{AgentPaths.SecretStatus}?nonce={NewNonce()}";
        UpstreamAnswer answer = await Upstream.ExchangeAsync("GET", path, default, s_answerWithin, cancel);
        if (isServer)
        {
            Server.Open(answer.Body);
        }

        return answer.Status == 200 ? null : $"status {answer.Status}";
    }

    /// <summary>Unwraps and checks a secret, and holds it.</summary>
    /// <exception cref="InvalidOperationException">It is not what the server named.</exception>
    public void Stage(RotateSecretAnswer answer)
    {
        ParsedSecretJwe jwe = SecretJwe.Parse(Encoding.ASCII.GetBytes(answer.NewSecretEncrypted));
        byte[] secret = new byte[Digest32.Length];
        bool opens = SecretJwe.Open(
            jwe, decryption.Decrypt(jwe.EncryptedKey, RSAEncryptionPadding.OaepSHA256), secret);
        if (!opens || SecretKeys.Kcv(secret) != answer.Kcv)
        {
            throw new InvalidOperationException($"Version {answer.SecretVersion} of {AgentId} does not open.");
        }

        _secrets[answer.SecretVersion] = secret;
    }

    public void Forget(long version) => _secrets.Remove(version);

    /// <summary>A record of the audit log, as far as the server sees it.</summary>
    public void Record(string what)
    {
        byte[] line = [.. Encoding.ASCII.GetBytes(_audit.Head.ToString()), .. Encoding.UTF8.GetBytes(what)];
        _audit = new AuditPoint(_audit.Seq + 1, Digest32.Sha256(line));
    }

    public void Dispose()
    {
        (_upstream as IDisposable)?.Dispose();
        _signing.Dispose();
    }

    private AgentRequest Compose(RequestPlan plan, AgentMoment moment)
    {
        Nonce16 nonce = NewNonce();
        UtcTime now = moment.Timestamp;
        AuditEvidence audit = new(_audit.Seq, _audit.Head, (plan as RequestPlan.CheckIn)?.Witnessed);
        ClockEvidence clock = new(now, moment.BootMs, 1, 1, moment.Generation, _bootId, moment.BootMs);
        switch (plan)
        {
            case RequestPlan.Prepare p:
                return new RotateSecretRequest(
                    AgentId, p.RequestId, nonce, now, AgentActions.RotateSecret, p.Intent.Current, p.Intent.Kcv,
                    p.Highest, p.Intent.Reason, Protections.Tpm, audit, clock);
            case RequestPlan.Confirm c:
                long version = c.Pending.Entry.Version;
                byte[] pop = new byte[Digest32.Length];
                SecretKeys.PopKey(_secrets[version], pop);
                return new ConfirmRotationRequest(
                    AgentId, c.RequestId, nonce, now, AgentActions.ConfirmRotation, version, c.Pending.Entry.Kcv,
                    SecretKeys.ConfirmProof(pop, AgentId, version, nonce));
            case RequestPlan.Reject r:
                return new RejectRotationRequest(
                    AgentId, r.RequestId, nonce, now, AgentActions.RejectRotation, r.Version, r.Reason);
            case RequestPlan.CheckIn c:
                return new CheckInRequest(
                    AgentId, c.RequestId, nonce, now, AgentActions.CheckIn, c.Mode, c.LockReason, c.ActiveVersion,
                    c.HeldVersions, c.ConfirmPending, Protections.Tpm, c.Tpm, audit, clock, c.RevocationsVersion,
                    c.KeysetVersion, Version);
            default:
                throw new InvalidOperationException($"A software agent never sends {plan.GetType().Name}.");
        }
    }

    private async Task<Exchanged> ExchangeAsync(string path, AgentRequest request, CancellationToken cancel)
    {
        byte[] body = await RequestSigner.SignAsync(request, AgentId, SignAsync, cancel);
        UpstreamAnswer answer = await Upstream.ExchangeAsync("POST", path, body, s_answerWithin, cancel);
        return new Exchanged(Exchanger.Read(Server, answer, request), answer.Body, 0, null);
    }

    private Task<byte[]> SignAsync(ReadOnlyMemory<byte> digest, CancellationToken cancel) =>
        Task.FromResult(_signing.SignHash(digest.Span));

    private static T Wanted<T>(Exchanged exchanged)
        where T : ServerAnswer => exchanged.Answer as T ?? throw new InvalidOperationException(
            exchanged.Answer is RefusalAnswer r ? $"{r.Error}: {r.Detail}" : $"{exchanged.Answer.GetType().Name} came.");

    private static Nonce16 NewNonce() => Nonce16.From(RandomNumberGenerator.GetBytes(Nonce16.Length));

    private static string NewRequestId(AgentMoment moment) =>
        RequestId.From(moment.Timestamp, RandomNumberGenerator.GetBytes(10));
}
