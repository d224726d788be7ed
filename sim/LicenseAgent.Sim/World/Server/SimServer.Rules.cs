using System.Security.Cryptography;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Protocol.Tokens;
using LicenseAgent.Sim.History;

namespace LicenseAgent.Sim.World.Server;

/// <summary>Rotation, check-in and enrolment as the protocol has them (protocol.md §2, §3).</summary>
internal sealed partial class SimServer
{
    private const int RecoveriesADay = 3;
    private const int WitnessesKept = 512;

    private ServerAnswer Enroll(AgentBooks books, EnrollRequest request)
    {
        string thumbprint = request.Keys.Signing.Thumbprint().ToString();
        if (books.Token is not { } token || token.Token != request.EnrollmentToken || books.Suspended)
        {
            return Refuse(request, ServerErrors.EnrollmentRefused);
        }

        if (token is { Bound: { } bound, Answer: { } before })
        {
            return token.Thumbprint == thumbprint && Now < bound + TimeSpan.FromHours(24)
                ? before with { RequestId = request.RequestId, Nonce = request.Nonce, ServerTime = Now }
                : Refuse(request, ServerErrors.EnrollmentRefused);
        }

        if (token.Expires <= Now)
        {
            return Refuse(request, ServerErrors.EnrollmentRefused);
        }

        foreach (long live in books.Versions.Keys.ToArray())
        {
            VersionState state = books.Versions[live].State;
            if (state is VersionState.Pending or VersionState.Active or VersionState.Grace)
            {
                Set(books, live, state == VersionState.Pending ? VersionState.Burned : VersionState.Invalidated);
            }
        }

        (books.Active, books.Pending, books.Signing, books.Decryption) =
            (0, 0, request.Keys.Signing, request.Keys.Decryption);
        books.Held.Clear();
        books.Witnessed.Clear();
        books.WitnessedLast = 0;
        books.WitnessTime = UtcTime.MinValue;
        Acquit(books);
        EnrollAnswer answer = new(
            request.AgentId, request.RequestId, request.Nonce, request.Action, Now,
            [CertificateOver(request.Csr)],
            new AgentPolicy(
                (int)Policy.RotationInterval.TotalSeconds, (int)Policy.GracePeriod.TotalSeconds,
                (int)Policy.CheckInInterval.TotalSeconds),
            books.Highest);
        books.Token = token with { Thumbprint = thumbprint, Bound = Now, Answer = answer };
        return answer;
    }

    private ServerAnswer Prepare(AgentBooks books, RotateSecretRequest request)
    {
        Witness(books, request.Audit, request.Timestamp);
        (long c, long h, bool recovery) = (
            request.CurrentSecretVersion, request.HighestVersionSeen, request.Reason == RotationReasons.Recovery);
        if (recovery && TooManyRecoveries(books))
        {
            return Refuse(request, ServerErrors.DowngradeRefused);
        }

        if (c >= books.Active && !IsCheckValue(books.AgentId, c, request.KcvCurrent))
        {
            return Conflict(books, request);
        }

        books.Highest = Math.Max(books.Highest, Math.Max(c, h));
        bool dead = c < books.InvalidBelow
            || books.Versions.GetValueOrDefault(c)?.State is VersionState.Invalidated or VersionState.Burned;
        long current = dead ? 0 : c;
        if (current > books.Active)
        {
            // The agent confirmed it, and the server was put back to a time before.
            Burn(books, below: current);
            books.Pending = books.Pending == current ? 0 : books.Pending;
            Activate(books, current);
        }
        else if (current < books.Active)
        {
            if (h < books.Active || (recovery && h == books.Active))
            {
                return Offer(books, books.Active, request);
            }

            if (!recovery)
            {
                Set(books, books.Active, VersionState.Invalidated);
                books.Active = 0;
                Burn(books, below: h + 1);
            }
        }

        Burn(books, below: h);
        if (books.Pending == 0)
        {
            books.Pending = ++books.Highest;
            Put(books, books.Pending, VersionState.Pending);
        }

        return Offer(books, books.Pending, request);
    }

    private ServerAnswer Confirm(AgentBooks books, ConfirmRotationRequest request)
    {
        long version = request.SecretVersion;
        bool known = version != 0 && (version == books.Pending || version == books.Active);
        bool proven = IsProof(books.AgentId, request);
        bool ahead = version > books.Highest && version >= books.InvalidBelow && proven;
        if (!known && !ahead)
        {
            return Conflict(books, request);
        }

        if (!proven)
        {
            return Refuse(request, ServerErrors.RejectedProof);
        }

        if (version != books.Active)
        {
            Burn(books, below: books.Pending == version ? 0 : long.MaxValue);
            books.Pending = 0;
            books.Highest = Math.Max(books.Highest, version);
            Activate(books, version);
        }

        books.Held.Add(version);
        ServerVersion row = books.Versions[version];
        PreviousVersion[] previous =
        [
            .. books.Versions.Where(v => v.Value.State == VersionState.Grace && v.Value.GraceUntil > Now)
                .Select(v => new PreviousVersion(v.Key, v.Value.GraceUntil)),
        ];
        return new ConfirmRotationAnswer(
            request.AgentId, request.RequestId, request.Nonce, request.Action, Now, version, row.ValidFrom,
            row.ValidUntil, row.GraceUntil, previous, Math.Max(1, books.InvalidBelow));
    }

    private RejectRotationAnswer Reject(AgentBooks books, RejectRotationRequest request)
    {
        if (request.SecretVersion == books.Pending)
        {
            Burn(books, below: long.MaxValue);
        }

        return new RejectRotationAnswer(
            request.AgentId, request.RequestId, request.Nonce, request.Action, Now, request.SecretVersion);
    }

    private CheckInAnswer CheckIn(AgentBooks books, CheckInRequest request)
    {
        bool conflict = Witness(books, request.Audit, request.Timestamp);
        books.Held.Clear();
        books.Held.UnionWith(request.HeldVersions);
        List<Directive> levels = [];
        if (books.Suspended)
        {
            levels.Add(new SuspendDirective());
        }

        if (books.GraceLimit is { } until)
        {
            levels.Add(new LimitGraceDirective(until));
        }

        if (books.InvalidBelow > 0)
        {
            levels.Add(new InvalidateBelowDirective(books.InvalidBelow));
        }

        if (books.RotateAbove > 0 && books.Active <= books.RotateAbove)
        {
            levels.Add(new RotateNowDirective(books.RotateAbove));
        }

        books.RevocationsVersion = Math.Max(books.RevocationsVersion, request.RevocationsVersion);
        RevocationList? revoked = books.RevocationsVersion > request.RevocationsVersion
            ? new RevocationList(books.RevocationsVersion, [.. books.Revoked])
            : null;
        _history.Add(new Reported(
            _loop.NowUs, books.AgentId, string.Intern(request.Mode), string.Intern(request.LockReason ?? ""),
            request.RevocationsVersion,
            books.InvalidBelow, books.Suspended, request.ActiveVersion, books.GraceLimit,
            string.Intern(request.Protection)));
        return new CheckInAnswer(
            request.AgentId, request.RequestId, request.Nonce, request.Action, Now, levels, _identity.KeysetVersion,
            new Witness(request.Audit.Seq, request.Audit.Head, conflict),
            (int)Policy.CheckInInterval.TotalSeconds, revoked);
    }

    /// <summary>A log only grows: fewer records than were shown, or another record at a number, is a conflict.</summary>
    private bool Witness(AgentBooks books, AuditEvidence shown, UtcTime timestamp)
    {
        bool inOrder = timestamp >= books.WitnessTime;
        long last = books.WitnessedLast;
        bool conflict = (inOrder && shown.Seq < last)
            || Contradicts(books, shown.Seq, shown.Head)
            || (shown.Witnessed is { } claimed && Contradicts(books, claimed.Seq, claimed.Head));
        if (!conflict && shown.Seq > 0)
        {
            books.Witnessed[shown.Seq] = shown.Head;
            books.WitnessedLast = Math.Max(last, shown.Seq);
            if (books.Witnessed.Count > WitnessesKept)
            {
                books.Witnessed.Remove(books.Witnessed.Keys.First());
            }
        }

        books.WitnessTime = UtcTime.Max(books.WitnessTime, timestamp);
        _history.Add(new WitnessGiven(_loop.NowUs, books.AgentId, shown.Seq, conflict) { Head = shown.Head });
        return conflict;
    }

    private static bool Contradicts(AgentBooks books, long seq, Digest32 head) =>
        books.Witnessed.TryGetValue(seq, out Digest32 kept) && kept != head;

    private bool TooManyRecoveries(AgentBooks books)
    {
        books.Recoveries.RemoveAll(r => r <= Now - TimeSpan.FromDays(1));
        if (books.Recoveries.Count >= RecoveriesADay)
        {
            return true;
        }

        books.Recoveries.Add(Now);
        return false;
    }

    /// <summary>One key on two machines: counters that fall, boots that return (protocol.md §2).</summary>
    private void LookForTwins(AgentBooks books, UtcTime told, ClockEvidence clock)
    {
        if (books.ClockTold is { } last)
        {
            if (told < last.Told)
            {
                return;
            }

            ClockEvidence before = last.Clock;
            bool sameBoot = clock.BootId == before.BootId;
            string? evidence =
                clock.Generation < before.Generation ? "generation_back"
                : clock.ResetCount < before.ResetCount ? "reset_count_back"
                : !sameBoot && books.Boots.Contains(clock.BootId) ? "boot_returned"
                : sameBoot && before.BoottimeMs - clock.BoottimeMs > 60_000 ? "boottime_back"
                : null;
            if (evidence is not null && books.CloneEvidence is null)
            {
                books.CloneEvidence = evidence;
                _history.Add(new CloneSuspected(_loop.NowUs, books.AgentId, evidence));
                Suspected?.Invoke(books.AgentId);
            }
        }

        books.ClockTold = (told, clock);
        if (books.Boots.Count == 0 || books.Boots[^1] != clock.BootId)
        {
            books.Boots.Add(clock.BootId);
        }
    }

    private static void Acquit(AgentBooks books)
    {
        (books.ClockTold, books.CloneEvidence) = (null, null);
        books.Boots.Clear();
    }

    private RotateSecretAnswer Offer(AgentBooks books, long version, RotateSecretRequest request)
    {
        ServerVersion row = books.Versions[version];
        return new RotateSecretAnswer(
            request.AgentId, request.RequestId, request.Nonce, request.Action, Now, version,
            SecretKeys.Kcv(SecretOf(books.AgentId, version)), Wrap(books, version), row.ValidFrom, row.ValidUntil,
            row.GraceUntil, Now + Policy.ConfirmWithin);
    }

    private string Wrap(AgentBooks books, long version) => StandInCrypto.Wrap(
        books.Decryption!, SecretKid.Format(books.AgentId, version), SecretOf(books.AgentId, version), Wraps(books));

    private void Activate(AgentBooks books, long version)
    {
        if (books.Active != 0)
        {
            ServerVersion old = books.Versions[books.Active];
            UtcTime until = UtcTime.Max(old.GraceUntil, Now + Policy.GracePeriod);
            books.Versions[books.Active] = old with { State = VersionState.Grace, GraceUntil = until };
            _history.Add(new VersionChanged(_loop.NowUs, books.AgentId, books.Active, VersionState.Grace, until));
        }

        Put(books, version, VersionState.Active);
        books.Active = version;
    }

    private void Burn(AgentBooks books, long below)
    {
        if (books.Pending != 0 && books.Pending < below)
        {
            Set(books, books.Pending, VersionState.Burned);
            books.Pending = 0;
        }
    }

    private void Put(AgentBooks books, long version, VersionState state)
    {
        UtcTime valid = Now + Policy.RotationInterval + Policy.RotationInterval;
        books.Versions[version] = new ServerVersion(state, Now, valid, valid + Policy.GracePeriod);
        _history.Add(new VersionChanged(_loop.NowUs, books.AgentId, version, state, valid + Policy.GracePeriod));
    }

    private void Set(AgentBooks books, long version, VersionState state)
    {
        books.Versions[version] = books.Versions[version] with { State = state };
        _history.Add(new VersionChanged(
            _loop.NowUs, books.AgentId, version, state, books.Versions[version].GraceUntil));
    }

    private RefusalAnswer Conflict(AgentBooks books, AgentRequest request) =>
        Refuse(request, ServerErrors.VersionConflict) with
        {
            ActiveVersion = books.Active,
            HighestVersion = books.Highest,
        };

    private bool IsCheckValue(string agentId, long version, string shown) =>
        shown == (version == 0 ? "" : SecretKeys.Kcv(SecretOf(agentId, version)).ToString());

    private bool IsProof(string agentId, ConfirmRotationRequest request)
    {
        byte[] pop = new byte[SecretKeys.KeyLength];
        byte[] secret = SecretOf(agentId, request.SecretVersion);
        SecretKeys.PopKey(secret, pop);
        return SecretKeys.Kcv(secret) == request.Kcv
            && SecretKeys.ConfirmProof(pop, agentId, request.SecretVersion, request.Nonce) == request.Proof;
    }

    /// <summary>A license token, under ACTIVE if the agent is known to hold it.</summary>
    /// <returns>The token and its version, or <see langword="null"/>.</returns>
    public (string Token, long Version)? Mint(string agentId, LicenseClaims claims)
    {
        if (_agents.GetValueOrDefault(agentId) is not { Active: > 0 } books || !books.Held.Contains(books.Active))
        {
            return null;
        }

        string kid = SecretKid.Format(agentId, books.Active);
        byte[] key = new byte[SecretKeys.KeyLength];
        SecretKeys.TokenContentKey(SecretOf(agentId, books.Active), kid, key);
        Span<byte> iv = stackalloc byte[12];
        Stream(agentId, "mint").Fill(iv);
        using AesGcm gcm = new(key, 16);
        return (LicenseToken.Mint(claims, _identity.LicenseKid, kid, gcm, iv, _identity.SignLicense), books.Active);
    }

    public void Suspend(string agentId, bool suspended) => _agents[agentId].Suspended = suspended;

    public void LimitGrace(string agentId, UtcTime? until) => _agents[agentId].GraceLimit = until;

    public void RotateNow(string agentId) => _agents[agentId].RotateAbove = _agents[agentId].Active;

    /// <summary>An operator lets a till be repaired once more, and takes it for one machine.</summary>
    public void ApproveRecovery(string agentId)
    {
        _agents[agentId].Recoveries.Clear();
        Acquit(_agents[agentId]);
    }

    public void Revoke(string agentId, string license)
    {
        if (_agents[agentId].Revoked.Add(license))
        {
            _agents[agentId].RevocationsVersion++;
            _history.Add(new Revoked(_loop.NowUs, agentId, license, _agents[agentId].RevocationsVersion));
        }
    }

    public void InvalidateBelow(string agentId, long version)
    {
        AgentBooks books = _agents[agentId];
        books.InvalidBelow = Math.Max(books.InvalidBelow, version);
        books.Highest = Math.Max(books.Highest, version - 1);
        foreach (long below in books.Versions.Keys.Where(v => v < version).ToArray())
        {
            bool isPending = books.Versions[below].State == VersionState.Pending;
            Set(books, below, isPending ? VersionState.Burned : VersionState.Invalidated);
        }

        books.Pending = books.Pending < version ? 0 : books.Pending;
        books.Active = books.Active < version ? 0 : books.Active;
    }
}
