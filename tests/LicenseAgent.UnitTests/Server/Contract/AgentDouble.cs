using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Protocol.Tokens;
using LicensePki;
using Xunit;

namespace LicenseAgent.UnitTests.Server.Contract;

/// <summary>
/// The agent's half of the protocol. It holds secrets by version and obeys the agent's rule for what it stages, and
/// nothing else; how it signs, unwraps and reaches its server is for the one who derives from it.
/// </summary>
internal abstract class AgentDouble(string agentId)
{
    private static int count;

    public string AgentId { get; set; } = agentId;

    public ECDsa TlsKey { get; } = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public Dictionary<long, byte[]> Secrets { get; } = [];

    public long Active { get; set; }

    public long Highest { get; set; }

    public TimeSpan ClockOffset { get; set; }

    public UtcTime Now => ServerNow + ClockOffset;

    public ClockEvidence Clock => new(Now, 1000, 1, 1, 1, "boot-1", 5000);

    /// <summary>Its server's time.</summary>
    protected abstract UtcTime ServerNow { get; }

    /// <summary>The public halves that it enrols with.</summary>
    protected abstract AgentKeys Keys { get; }

    protected virtual string Protection => Protections.Tpm;

    protected virtual string TpmReport => TpmReports.Ok;

    /// <summary>Exactly what a request needs besides its action's members, new each time.</summary>
    public static (string RequestId, Nonce16 Nonce) Fresh()
    {
        var bytes = RandomNumberGenerator.GetBytes(26);
        return (RequestId.From(new UtcTime(1_700_000_000_000 + Interlocked.Increment(ref count)), bytes.AsSpan(0, 10)),
            Nonce16.From(bytes.AsSpan(10)));
    }

    /// <summary>The request as it goes over the wire.</summary>
    public abstract byte[] Sign(AgentRequest request);

    /// <summary>Sends what <see cref="Sign"/> made and reads the answer; null = it was not signed.</summary>
    public abstract Task<ServerAnswer?> AskAsync(string action, byte[] body);

    /// <summary>The secret in an answer.</summary>
    public abstract byte[] Unwrap(RotateSecretAnswer answer);

    public EnrollRequest EnrollRequest(EnrollmentBundle bundle)
    {
        var (id, nonce) = Fresh();
        return new EnrollRequest(
            AgentId, id, nonce, Now, AgentActions.Enroll, bundle.EnrollmentToken, Keys,
            Base64UrlText.Encode(AgentCsr.Create(TlsKey, AgentId)), "000b" + new string('a', 64));
    }

    public virtual async Task<EnrollAnswer> EnrolAsync(EnrollmentBundle bundle)
    {
        var answer = await SendAsync<EnrollAnswer>(EnrollRequest(bundle));
        Highest = answer.HighestVersion;
        Active = 0;
        return answer;
    }

    public RotateSecretRequest RotateRequest(string reason = RotationReasons.Scheduled)
    {
        var (id, nonce) = Fresh();
        return new RotateSecretRequest(
            AgentId, id, nonce, Now, AgentActions.RotateSecret, Active,
            Active == 0 ? "" : SecretKeys.Kcv(Secrets[Active]).ToString(), Highest, reason, Protection,
            new AuditEvidence(0, default, null), Clock);
    }

    public ConfirmRotationRequest ConfirmRequest(long version, byte[]? secret = null)
    {
        var (id, nonce) = Fresh();
        secret ??= Secrets[version];
        return new ConfirmRotationRequest(
            AgentId, id, nonce, Now, AgentActions.ConfirmRotation, version, SecretKeys.Kcv(secret),
            Proof(secret, version, nonce));
    }

    public RejectRotationRequest RejectRequest(long version)
    {
        var (id, nonce) = Fresh();
        return new RejectRotationRequest(
            AgentId, id, nonce, Now, AgentActions.RejectRotation, version, RejectReasons.UnwrapFailed);
    }

    public CheckInRequest CheckInRequest()
    {
        var (id, nonce) = Fresh();
        return new CheckInRequest(
            AgentId, id, nonce, Now, AgentActions.CheckIn, "NORMAL", null, Active, [.. Secrets.Keys.Order()], false,
            Protection, TpmReport, new AuditEvidence(1, Digest32.Sha256([1]), null), Clock, 0, 1, "0.1.0");
    }

    /// <summary>The same operation, sent once more: new nonce, new time, new proof.</summary>
    public AgentRequest Again(AgentRequest request)
    {
        var (_, nonce) = Fresh();
        if (request is not ConfirmRotationRequest confirm) return request with { Nonce = nonce, Timestamp = Now };
        var proof = Proof(Secrets[confirm.SecretVersion], confirm.SecretVersion, nonce);
        return confirm with { Nonce = nonce, Timestamp = Now, Proof = proof };
    }

    public async Task<RotateSecretAnswer> PrepareAsync(string reason = RotationReasons.Scheduled)
    {
        var answer = await SendAsync<RotateSecretAnswer>(RotateRequest(reason));
        Stage(answer);
        return answer;
    }

    /// <summary>Unwraps, checks and keeps the secret, as the agent does before it confirms.</summary>
    public void Stage(RotateSecretAnswer answer)
    {
        var secret = Unwrap(answer);
        Assert.Equal(answer.Kcv, SecretKeys.Kcv(secret));
        Assert.True(answer.SecretVersion >= Highest, $"version {answer.SecretVersion} is below {Highest}");
        Secrets[answer.SecretVersion] = secret;
        Highest = answer.SecretVersion;
    }

    public async Task<ConfirmRotationAnswer> ConfirmAsync(long version)
    {
        var answer = await SendAsync<ConfirmRotationAnswer>(ConfirmRequest(version));
        Active = answer.SecretVersion;
        return answer;
    }

    public async Task RotateAsync() => await ConfirmAsync((await PrepareAsync()).SecretVersion);

    public async Task<string> RefusedAsync(AgentRequest request) => (await SendAsync<RefusalAnswer>(request)).Error;

    public async Task<T> SendAsync<T>(AgentRequest request, bool allowRefusal = false) where T : ServerAnswer
    {
        var answer = await AskAsync(request.Action, Sign(request));
        Assert.NotNull(answer);
        Assert.Equal(request.Nonce, answer.Nonce);
        Assert.Equal(request.RequestId, answer.RequestId);
        Assert.Equal(ServerNow, answer.ServerTime);
        return allowRefusal ? (T)answer : Assert.IsType<T>(answer);
    }

    public static string PathOf(string action) => action switch
    {
        AgentActions.Enroll => AgentPaths.Enroll,
        AgentActions.RotateSecret => AgentPaths.RotateSecret,
        AgentActions.ConfirmRotation => AgentPaths.ConfirmRotation,
        AgentActions.RejectRotation => AgentPaths.RejectRotation,
        AgentActions.ValidateLicense => AgentPaths.ValidateLicense,
        AgentActions.RenewLicense => AgentPaths.RenewLicense,
        AgentActions.RenewCertificate => AgentPaths.RenewCertificate,
        _ => AgentPaths.CheckIn,
    };

    protected static byte[] Payload(AgentRequest request)
    {
        var wire = RequestJsonContext.Wire;
        return request switch
        {
            EnrollRequest enroll => StrictJson.Write(enroll, wire.EnrollRequest),
            RotateSecretRequest rotate => StrictJson.Write(rotate, wire.RotateSecretRequest),
            ConfirmRotationRequest confirm => StrictJson.Write(confirm, wire.ConfirmRotationRequest),
            RejectRotationRequest reject => StrictJson.Write(reject, wire.RejectRotationRequest),
            LicenseValidationRequest validation => StrictJson.Write(validation, wire.LicenseValidationRequest),
            LicenseRenewalRequest renewal => StrictJson.Write(renewal, wire.LicenseRenewalRequest),
            CheckInRequest checkIn => StrictJson.Write(checkIn, wire.CheckInRequest),
            RenewCertificateRequest renew => StrictJson.Write(renew, wire.RenewCertificateRequest),
            _ => throw new ArgumentException("not a request", nameof(request)),
        };
    }

    /// <summary>Reads the payload of an answer; of another status than 200 it is a refusal.</summary>
    protected static ServerAnswer Read(ReadOnlySpan<byte> payload, int status, string action)
    {
        var wire = AnswerJsonContext.Wire;
        if (status != 200) return StrictJson.Read(payload, wire.RefusalAnswer);
        return action switch
        {
            AgentActions.Enroll => StrictJson.Read(payload, wire.EnrollAnswer),
            AgentActions.RotateSecret => StrictJson.Read(payload, wire.RotateSecretAnswer),
            AgentActions.ConfirmRotation => StrictJson.Read(payload, wire.ConfirmRotationAnswer),
            AgentActions.RejectRotation => StrictJson.Read(payload, wire.RejectRotationAnswer),
            AgentActions.ValidateLicense => StrictJson.Read(payload, wire.LicenseValidationAnswer),
            AgentActions.RenewLicense => StrictJson.Read(payload, wire.LicenseRenewalAnswer),
            AgentActions.SecretStatus => StrictJson.Read(payload, wire.SecretStatusAnswer),
            AgentActions.RenewCertificate => StrictJson.Read(payload, wire.RenewCertificateAnswer),
            _ => StrictJson.Read(payload, wire.CheckInAnswer),
        };
    }

    private Digest32 Proof(byte[] secret, long version, Nonce16 nonce)
    {
        var popKey = new byte[32];
        SecretKeys.PopKey(secret, popKey);
        return SecretKeys.ConfirmProof(popKey, AgentId, version, nonce);
    }
}
