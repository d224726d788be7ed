using System.Collections.Immutable;
using System.Text;
using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.UnitTests.Core.Model;

/// <summary>A request as the network carries it.</summary>
internal sealed record ModelRequest(long Nonce, RequestPlan Plan, UtcTime Timestamp, long SentBootMs);

/// <summary>Its answer, for whoever still waits for that nonce.</summary>
internal sealed record ModelAnswer(long Nonce, ServerAnswer Answer, long SentBootMs);

/// <summary>What the server has of one version.</summary>
internal sealed record ModelVersion(string State, UtcTime From, UtcTime Until, UtcTime Grace);

/// <summary>
/// The server's rules table, written down once more and independently: A, P, H of one agent, outcomes by request id,
/// directives as levels. Everything in it can be copied, so that it can be restored from a backup.
/// </summary>
internal sealed class ModelServer
{
    private static readonly TimeSpan Interval = TimeSpan.FromDays(1);
    private static readonly TimeSpan GracePeriod = TimeSpan.FromDays(7);

    private ImmutableSortedDictionary<long, ModelVersion> _versions = ImmutableSortedDictionary<long, ModelVersion>.Empty;
    private ImmutableDictionary<string, (string Operation, ServerAnswer Answer)> _outcomes =
        ImmutableDictionary<string, (string Operation, ServerAnswer Answer)>.Empty;
    private ImmutableHashSet<long> _nonces = [];
    private int _wraps;

    public long Active { get; private set; }

    public long Pending { get; private set; }

    public long Highest { get; private set; }

    public long InvalidBelow { get; private set; }

    public bool Suspended { get; set; }

    public UtcTime? GraceLimit { get; set; }

    public long RotateAbove { get; set; }

    public long RevocationsVersion { get; set; }

    /// <summary>What the agent last said it holds, and what it confirmed since.</summary>
    public ImmutableHashSet<long> Held { get; private set; } = [];

    /// <summary>The version tokens are minted under, 0 = none.</summary>
    public long Mints => Active != 0 && Held.Contains(Active) ? Active : 0;

    /// <summary>Called with the version at the moment it is committed.</summary>
    public Action<long> Committed { get; set; } = _ => { };

    public UtcTime? GraceUntil(long version) => _versions.GetValueOrDefault(version)?.Grace;

    public ModelServer Copy() => (ModelServer)MemberwiseClone();

    public long Enrol()
    {
        (Active, Pending, Held) = (0, 0, []);
        return Highest;
    }

    public void InvalidateBelow(long version)
    {
        InvalidBelow = Math.Max(InvalidBelow, version);
        Highest = Math.Max(Highest, version - 1);
        foreach (long below in _versions.Keys.Where(v => v < version).ToArray())
        {
            Set(below, "INVALIDATED");
        }

        Pending = Pending < version ? 0 : Pending;
        Active = Active < version ? 0 : Active;
    }

    public ServerAnswer Process(ModelRequest request, UtcTime now)
    {
        if (_nonces.Contains(request.Nonce))
        {
            return Refuse(request, ServerErrors.Replay, now);
        }

        if ((request.Timestamp - now).Duration() > AgentApiLimits.ClockSkew)
        {
            return Refuse(request, ServerErrors.ClockSkew, now);
        }

        _nonces = _nonces.Add(request.Nonce);
        if (request.Plan is RequestPlan.CheckIn report)
        {
            return CheckIn(request, report, now);
        }

        return Suspended ? Refuse(request, ServerErrors.AgentSuspended, now) : Once(request, now);
    }

    /// <summary>The stored outcome of a retry, signed anew; or the action, and its outcome stored.</summary>
    private ServerAnswer Once(ModelRequest request, UtcTime now)
    {
        string operation = Operation(request.Plan);
        if (_outcomes.TryGetValue(request.Plan.RequestId, out (string Operation, ServerAnswer Answer) stored))
        {
            return stored.Operation == operation
                ? Sign(stored.Answer, request, now)
                : Refuse(request, ServerErrors.RequestMismatch, now);
        }

        ServerAnswer answer = request.Plan switch
        {
            RequestPlan.Prepare p => Prepare(request, p, now),
            RequestPlan.Confirm c => Confirm(request, c.Pending.Entry, now),
            RequestPlan.Reject r => Reject(request, r.Version, now),
            _ => throw new InvalidOperationException($"{request.Plan} is no request of a model agent."),
        };
        if (answer is not RefusalAnswer)
        {
            _outcomes = _outcomes.SetItem(request.Plan.RequestId, (operation, answer));
        }

        return Sign(answer, request, now);
    }

    private ServerAnswer Prepare(ModelRequest request, RequestPlan.Prepare plan, UtcTime now)
    {
        (long c, long h, bool recovery) = (plan.Intent.Current, plan.Highest, plan.Intent.Reason == RotationReasons.Recovery);
        bool kcvRight = plan.Intent.Kcv == (c == 0 ? "" : Given.Kcv(c).ToString());
        if (c >= Active && !kcvRight)
        {
            return Conflict(request, now);
        }

        // What was taken out of use for good is not ACTIVE again because an agent has not heard of it yet.
        bool retired = c < InvalidBelow || _versions.GetValueOrDefault(c)?.State is "INVALIDATED" or "BURNED";
        Highest = Math.Max(Highest, Math.Max(c, h));
        if (!retired && c > Active)
        {
            Adopt(c, now);
        }
        else if (c < Active && (h < Active || (recovery && h == Active)))
        {
            return Offer(request, Active, now);
        }
        else if (c < Active && !recovery)
        {
            Set(Active, "INVALIDATED");
            Active = 0;
            BurnPendingUpTo(h);
        }

        BurnPendingUpTo(h - 1);
        if (Pending == 0)
        {
            Pending = ++Highest;
            Put(Pending, "PENDING", now);
        }

        return Offer(request, Pending, now);
    }

    private ServerAnswer Confirm(ModelRequest request, SecretEntry entry, UtcTime now)
    {
        long version = entry.Version;
        bool known = version != 0 && (version == Pending || version == Active);
        bool ahead = version > Highest && version >= InvalidBelow;
        if (!known && !ahead)
        {
            return Conflict(request, now);
        }

        if (entry.Kcv != Given.Kcv(version))
        {
            return Refuse(request, ServerErrors.RejectedProof, now);
        }

        if (version != Active)
        {
            Committed(version);
            BurnPendingUpTo(Pending == version ? 0 : long.MaxValue);
            RetireActive(now);
            Put(version, "ACTIVE", now);
            (Active, Pending, Highest) = (version, 0, Math.Max(Highest, version));
        }

        Held = Held.Add(version);
        ModelVersion active = _versions[version];
        PreviousVersion[] previous =
        [
            .. _versions.Where(v => v.Value.State == "GRACE" && v.Value.Grace > now)
                .Select(v => new PreviousVersion(v.Key, v.Value.Grace)),
        ];
        return new ConfirmRotationAnswer(
            Given.AgentId, "", default, AgentActions.ConfirmRotation, now, version, active.From, active.Until,
            active.Grace, previous, Math.Max(1, InvalidBelow));
    }

    private RejectRotationAnswer Reject(ModelRequest request, long version, UtcTime now)
    {
        if (version == Pending)
        {
            BurnPendingUpTo(version);
        }

        return Given.Rejected(version, now) with { RequestId = request.Plan.RequestId };
    }

    private CheckInAnswer CheckIn(ModelRequest request, RequestPlan.CheckIn report, UtcTime now)
    {
        Held = [.. report.HeldVersions];
        List<Directive> levels = [];
        if (Suspended)
        {
            levels.Add(new SuspendDirective());
        }

        if (GraceLimit is { } until)
        {
            levels.Add(new LimitGraceDirective(until));
        }

        if (InvalidBelow > 0)
        {
            levels.Add(new InvalidateBelowDirective(InvalidBelow));
        }

        if (RotateAbove > 0 && Active <= RotateAbove)
        {
            levels.Add(new RotateNowDirective(RotateAbove));
        }

        RevocationsVersion = Math.Max(RevocationsVersion, report.RevocationsVersion);
        RevocationList? revoked = RevocationsVersion > report.RevocationsVersion
            ? new RevocationList(RevocationsVersion, ["lic"])
            : null;
        return (CheckInAnswer)Sign(Given.CheckedIn(now, [.. levels], revoked), request, now);
    }

    private RotateSecretAnswer Offer(ModelRequest request, long version, UtcTime now)
    {
        ModelVersion row = _versions[version];
        return new RotateSecretAnswer(
            Given.AgentId, request.Plan.RequestId, default, AgentActions.RotateSecret, now, version, Given.Kcv(version),
            $"wrap-{version}-{_wraps++}", row.From, row.Until, row.Grace, now + TimeSpan.FromHours(1));
    }

    private void Adopt(long version, UtcTime now)
    {
        BurnPendingUpTo(Pending == version ? 0 : version - 1);
        Pending = Pending == version ? 0 : Pending;
        RetireActive(now);
        Put(version, "ACTIVE", now);
        Active = version;
    }

    private void RetireActive(UtcTime now)
    {
        if (Active != 0)
        {
            ModelVersion row = _versions[Active];
            UtcTime until = UtcTime.Max(row.Grace, now + GracePeriod);
            _versions = _versions.SetItem(Active, row with { State = "GRACE", Grace = until });
        }
    }

    private void BurnPendingUpTo(long version)
    {
        if (Pending != 0 && Pending <= version)
        {
            Set(Pending, "BURNED");
            Pending = 0;
        }
    }

    private void Put(long version, string state, UtcTime now)
    {
        UtcTime until = now + (Interval * 2);
        _versions = _versions.SetItem(version, new ModelVersion(state, now, until, until + GracePeriod));
    }

    private void Set(long version, string state) =>
        _versions = _versions.SetItem(version, _versions[version] with { State = state });

    private RefusalAnswer Conflict(ModelRequest request, UtcTime now) =>
        (RefusalAnswer)Sign(Given.Refused(ServerErrors.VersionConflict, now, null, Active, Highest), request, now);

    private static ServerAnswer Refuse(ModelRequest request, string error, UtcTime now) =>
        Sign(Given.Refused(error, now), request, now);

    private static ServerAnswer Sign(ServerAnswer answer, ModelRequest request, UtcTime now)
    {
        byte[] nonce = new byte[16];
        BitConverter.TryWriteBytes(nonce, request.Nonce);
        return answer with { RequestId = request.Plan.RequestId, Nonce = Nonce16.From(nonce), ServerTime = now };
    }

    private static string Operation(RequestPlan plan) => plan switch
    {
        RequestPlan.Prepare p => $"prepare {p.Intent}",
        RequestPlan.Confirm c => $"confirm {c.Pending.Entry.Version} {c.Pending.Entry.Kcv}",
        RequestPlan.Reject r => $"reject {r.Version} {r.Reason}",
        _ => plan.ToString(),
    };

    public override string ToString() => new StringBuilder()
        .Append(System.Globalization.CultureInfo.InvariantCulture, $"A={Active} P={Pending} H={Highest} ")
        .AppendJoin(' ', _versions.Select(v => $"{v.Key}:{v.Value.State}"))
        .ToString();
}
