using System.Security.Cryptography;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Kernel;

namespace LicenseAgent.Sim.World.Server;

/// <summary>An answer as it leaves the server.</summary>
internal sealed record ServerReply(int Status, byte[] Body, bool IsSigned = false, TimeSpan? RetryAfter = null);

/// <summary>What ails the server, of all the faults that are open.</summary>
internal sealed class ServerTroubles
{
    public bool IsDown { get; set; }

    /// <summary>How far its clock is from the truth, microseconds.</summary>
    public long SkewUs { get; set; }

    /// <summary>Answers 429 for as long as it is set, and signs it.</summary>
    public bool IsOverloaded { get; set; }

    /// <summary>What stands before it answers this status to everything, unsigned; 0: nothing does.</summary>
    public int BareStatus { get; set; }

    /// <summary>And wishes for so much patience; 0: it does not say.</summary>
    public long BareRetryAfterS { get; set; }

    /// <summary>When the certificate that it shows ends; <see langword="null"/>: in good time it is renewed.</summary>
    public UtcTime? CertificateEnds { get; set; }

    /// <summary>What it shows is of an authority that nobody trusts.</summary>
    public bool IsOfAnotherAuthority { get; set; }

    public void Ease()
    {
        (IsDown, SkewUs, IsOverloaded, BareStatus, BareRetryAfterS) = (false, 0, false, 0, 0);
        (CertificateEnds, IsOfAnotherAuthority) = (null, false);
    }

    /// <summary>What a till finds wrong with the certificate; <see langword="null"/>: nothing.</summary>
    /// <param name="provenNow">What the till judges dates by.</param>
    public NoContactException? Refuses(UtcTime provenNow) =>
        IsOfAnotherAuthority
            ? new NoContactException("tls_chain", "The license server showed a certificate of another authority.")
            : CertificateEnds is { } end && end < provenNow
                ? new NoContactException("tls_expired", $"The license server showed a certificate that ended {end}.")
                : null;
}

/// <summary>
/// The license server's rules, written down a second time from the protocol and sharing nothing with the real one but
/// the records on the wire: what the agents are judged by must not share their mistakes, nor the real server's.
/// Everything it knows can be copied, so that it can be restored from a backup.
/// </summary>
internal sealed partial class SimServer
{
    public const string Name = "sim-license-server";
    public const string Url = "https://license-server.sim";

    private readonly SimLoop _loop;
    private readonly Chronicle _history;
    private readonly ServerIdentity _identity;

    // One for each agent and concern: what one till is given moves nothing at another.
    private readonly Dictionary<(string Agent, string Concern), SimRandom> _streams = [];
    private readonly Dictionary<string, AgentBooks> _agents = new(StringComparer.Ordinal);

    public SimServer(SimLoop loop, Chronicle history, ServerPolicy policy, SimRandom chance)
    {
        (_loop, _history, Policy) = (loop, history, policy);
        _identity = new ServerIdentity(chance, At(0));
    }

    public ServerPolicy Policy { get; }

    public string Pin => _identity.Pin;

    public ServerTroubles Troubles { get; } = new();

    /// <summary>Told of an agent that looks like two machines.</summary>
    public Action<string>? Suspected { get; set; }

    public UtcTime Now => At(_loop.NowUs + Troubles.SkewUs);

    /// <summary>The true time of a moment of the run.</summary>
    public static UtcTime At(long us) => SimEpoch.Start + TimeSpan.FromMicroseconds(us);

    public AgentBooks? Find(string agentId) => _agents.GetValueOrDefault(agentId);

    /// <summary>What an operator carries to the till.</summary>
    public EnrollmentBundle Add(string agentId)
    {
        if (!_agents.TryGetValue(agentId, out AgentBooks? books))
        {
            books = new AgentBooks(agentId);
            _agents.Add(agentId, books);
        }

        byte[] token = new byte[Digest32.Length];
        Stream(agentId, "tokens").Fill(token);
        books.Token = new ServerToken(Digest32.From(token), Now + TimeSpan.FromHours(24), null, null, null);
        return new EnrollmentBundle(
            1, agentId, Url, Name, [_identity.Pin], _identity.CaCertificate, _identity.KeysetPin, books.Token.Token,
            books.Token.Expires);
    }

    public SortedDictionary<string, AgentBooks> Backup()
    {
        SortedDictionary<string, AgentBooks> copy = new(StringComparer.Ordinal);
        foreach ((string id, AgentBooks books) in _agents)
        {
            copy.Add(id, books.Copy());
        }

        return copy;
    }

    /// <summary>The past comes back: everything since is unknown, agents enrolled since are strangers.</summary>
    public void Restore(SortedDictionary<string, AgentBooks> backup)
    {
        foreach ((string id, AgentBooks books) in backup)
        {
            // Operators repeat what they ordered: the model is not about orders they forgot.
            AgentBooks now = _agents[id];
            AgentBooks old = books.Copy();
            old.Suspended = now.Suspended;
            old.GraceLimit = now.GraceLimit;
            old.InvalidBelow = Math.Max(old.InvalidBelow, now.InvalidBelow);
            old.RevocationsVersion = now.RevocationsVersion;
            old.Revoked.UnionWith(now.Revoked);

            // An enrolment that a restored server does not know is not mended by any rule: somebody repeats it.
            if (old.Signing != now.Signing)
            {
                old.EnrolledAs(now);
            }

            if (old.Signing is not null)
            {
                _agents[id] = old;
            }
        }
    }

    public void RollKeys() => _identity.Rollover(Stream(Name, "keys"), Now);

    /// <summary>One request, whoever sent it over whichever way.</summary>
    /// <param name="certificateEnds">Of the certificate that its sender shows, where certificates end.</param>
    public ServerReply Handle(string method, string path, ReadOnlySpan<byte> body, UtcTime? certificateEnds = null)
    {
        if (Troubles.BareStatus != 0)
        {
            return Unsigned(Troubles.BareStatus) with
            {
                RetryAfter = Troubles.BareRetryAfterS > 0 ? TimeSpan.FromSeconds(Troubles.BareRetryAfterS) : null,
            };
        }

        if (method == "GET")
        {
            const string After = AgentPaths.Keyset + "?after=";
            return path == AgentPaths.Keyset ? new ServerReply(200, _identity.ChainAfter(0))
                : path.StartsWith(After, StringComparison.Ordinal) && long.TryParse(
                    path.AsSpan(After.Length), System.Globalization.CultureInfo.InvariantCulture, out long version)
                    ? new ServerReply(200, _identity.ChainAfter(version))
                    : Unsigned(404);
        }

        if (!CompactJws.TryParse(body, JoseTypes.AgentRequest, AgentApiLimits.RequestBytes, out ParsedJws? jws))
        {
            return Unsigned(400);
        }

        AgentRequest? request = Read(path, jws.Payload);
        if (request is null || request.AgentId != jws.Kid)
        {
            return Unsigned(403);
        }

        AgentBooks? books = _agents.GetValueOrDefault(request.AgentId);
        EcPublicJwk? key = request is EnrollRequest enroll ? enroll.Keys.Signing : books?.Signing;
        bool isSigned = key is not null && jws.IsSignedBy(key, StandInCrypto.Verify);
        if (books is not null)
        {
            books.IsStranger = key is not null && !isSigned;
        }

        if (!isSigned)
        {
            return books?.Signing is null && request is not EnrollRequest
                ? Sign(Refuse(request, ServerErrors.AgentUnknown))
                : Unsigned(403);
        }

        ServerAnswer answer = certificateEnds < Now && request is not (CheckInRequest or RenewCertificateRequest)
            ? Refuse(request, ServerErrors.CertificateExpired)
            : Judge(books, request);
        _history.Add(new Received(
            _loop.NowUs, books?.AgentId ?? request.AgentId, string.Intern(request.Action), VersionOf(request, answer),
            answer is RefusalAnswer refusal ? refusal.Error : "ok", request.RequestId));
        return Sign(answer);
    }

    private ServerAnswer Judge(AgentBooks? books, AgentRequest request)
    {
        if (books is null)
        {
            return Refuse(request, ServerErrors.EnrollmentRefused);
        }

        if (Troubles.IsOverloaded)
        {
            int patienceS = (int)Stream(request.AgentId, "patience").Between(1, 600);
            return Refuse(request, ServerErrors.RateLimited) with { RetryAfterS = patienceS };
        }

        if ((request.Timestamp - Now).Duration() > AgentApiLimits.ClockSkew)
        {
            return Refuse(request, ServerErrors.ClockSkew);
        }

        if (!TakeNonce(books, request.Nonce))
        {
            return Refuse(request, ServerErrors.Replay);
        }

        if (request is EnrollRequest enroll)
        {
            return Enroll(books, enroll);
        }

        if (request is CheckInRequest report)
        {
            LookForTwins(books, report.Timestamp, report.Clock);
            return CheckIn(books, report);
        }

        if (request is RotateSecretRequest rotate)
        {
            LookForTwins(books, rotate.Timestamp, rotate.Clock);
        }

        return books.Suspended ? Refuse(request, ServerErrors.AgentSuspended)
            : books.CloneEvidence is not null ? Refuse(request, ServerErrors.CloneSuspect)
            : Once(books, request);
    }

    /// <summary>The same operation again gets the stored outcome over its own nonce; another one is refused.</summary>
    private ServerAnswer Once(AgentBooks books, AgentRequest request)
    {
        string operation = OperationOf(request);
        if (books.Outcomes.TryGetValue(request.RequestId, out StoredOutcome? known)
            && known.Kept + AgentApiLimits.OutcomeKept > Now)
        {
            return known.Operation == operation
                ? Again(books, known.Answer, request)
                : Refuse(request, ServerErrors.RequestMismatch);
        }

        ServerAnswer answer = request switch
        {
            RotateSecretRequest r => Prepare(books, r),
            ConfirmRotationRequest r => Confirm(books, r),
            RejectRotationRequest r => Reject(books, r),
            RenewCertificateRequest r => Renew(r),
            _ => throw new InvalidOperationException($"{request.Action} is no operation."),
        };
        if (answer is not RefusalAnswer)
        {
            Keep(books, request.RequestId, new StoredOutcome(operation, answer, Now));
        }

        return answer;
    }

    private ServerAnswer Again(AgentBooks books, ServerAnswer stored, AgentRequest request)
    {
        ServerAnswer anew = stored with { Nonce = request.Nonce, ServerTime = Now };
        return anew is RotateSecretAnswer offer
            ? offer with { NewSecretEncrypted = Wrap(books, offer.SecretVersion) }
            : anew;
    }

    private void Keep(AgentBooks books, string requestId, StoredOutcome outcome)
    {
        if (books.Outcomes.Count > 64)
        {
            UtcTime old = Now - AgentApiLimits.OutcomeKept;
            foreach (string id in books.Outcomes.Where(o => o.Value.Kept < old).Select(o => o.Key).ToArray())
            {
                books.Outcomes.Remove(id);
            }
        }

        books.Outcomes[requestId] = outcome;
    }

    private bool TakeNonce(AgentBooks books, Nonce16 nonce)
    {
        UtcTime old = Now - AgentApiLimits.NonceWindow;
        while (books.NonceOrder.TryPeek(out (Nonce16 Nonce, UtcTime Seen) first) && first.Seen <= old)
        {
            books.NonceOrder.Dequeue();
            books.Nonces.Remove(first.Nonce);
        }

        books.NonceOrder.Enqueue((nonce, Now));
        return books.Nonces.Add(nonce);
    }

    private RefusalAnswer Refuse(AgentRequest request, string error) => new(
        request.AgentId, request.RequestId, request.Nonce, request.Action, Now, error, "said the simulated server");

    private ServerReply Sign(ServerAnswer answer)
    {
        AnswerJsonContext json = AnswerJsonContext.Wire;
        byte[] payload = answer switch
        {
            RotateSecretAnswer a => StrictJson.Write(a, json.RotateSecretAnswer),
            ConfirmRotationAnswer a => StrictJson.Write(a, json.ConfirmRotationAnswer),
            RejectRotationAnswer a => StrictJson.Write(a, json.RejectRotationAnswer),
            CheckInAnswer a => StrictJson.Write(a, json.CheckInAnswer),
            RenewCertificateAnswer a => StrictJson.Write(a, json.RenewCertificateAnswer),
            EnrollAnswer a => StrictJson.Write(a, json.EnrollAnswer),
            RefusalAnswer a => StrictJson.Write(a, json.RefusalAnswer),
            _ => throw new InvalidOperationException($"{answer.GetType().Name} is never sent."),
        };
        int status = answer is RefusalAnswer refusal ? ServerErrors.StatusOf(refusal.Error) : 200;
        return new ServerReply(status, _identity.SignAnswer(payload), IsSigned: true);
    }

    private static ServerReply Unsigned(int status) => new(status, """{"title":"refused"}"""u8.ToArray());

    private static AgentRequest? Read(string path, ReadOnlySpan<byte> payload)
    {
        RequestJsonContext json = RequestJsonContext.Wire;
        try
        {
            return path switch
            {
                AgentPaths.Enroll => StrictJson.Read(payload, json.EnrollRequest),
                AgentPaths.RotateSecret => StrictJson.Read(payload, json.RotateSecretRequest),
                AgentPaths.ConfirmRotation => StrictJson.Read(payload, json.ConfirmRotationRequest),
                AgentPaths.RejectRotation => StrictJson.Read(payload, json.RejectRotationRequest),
                AgentPaths.CheckIn => StrictJson.Read(payload, json.CheckInRequest),
                AgentPaths.RenewCertificate => StrictJson.Read(payload, json.RenewCertificateRequest),
                _ => null,
            };
        }
        catch (ProtocolException)
        {
            // Not such a request: refused like any stranger's.
            return null;
        }
    }

    private static string OperationOf(AgentRequest request) => request switch
    {
        RotateSecretRequest r =>
            $"{r.Action} {r.CurrentSecretVersion} {r.KcvCurrent} {r.Reason} {r.Protection}",
        ConfirmRotationRequest r => $"{r.Action} {r.SecretVersion} {r.Kcv}",
        RejectRotationRequest r => $"{r.Action} {r.SecretVersion} {r.Reason}",
        _ => request.Action,
    };

    private static long VersionOf(AgentRequest request, ServerAnswer answer) => (request, answer) switch
    {
        (_, RotateSecretAnswer a) => a.SecretVersion,
        (ConfirmRotationRequest r, _) => r.SecretVersion,
        (RejectRotationRequest r, _) => r.SecretVersion,
        (CheckInRequest r, _) => r.ActiveVersion,
        _ => 0,
    };

    private SimRandom Wraps(AgentBooks books) => Stream(books.AgentId, "wrap");

    private SimRandom Stream(string agentId, string concern)
    {
        if (!_streams.TryGetValue((agentId, concern), out SimRandom? stream))
        {
            stream = SimRandom.Of(_loop.Seed, agentId, "server-" + concern);
            _streams.Add((agentId, concern), stream);
        }

        return stream;
    }

    /// <summary>What the server makes of a version; a till that has it is one that was given it.</summary>
    public byte[] SecretOf(string agentId, long version) =>
        SHA256.HashData(System.Text.Encoding.ASCII.GetBytes($"{_identity.BaseKey}|{agentId}|{version}"));
}
