using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using LicenseServer.Rules;
using LicenseServer.Storage;

namespace LicenseServer.Agents;

/// <summary>
/// One agent's versions within one write transaction: as loaded, and with the steps of a decision applied one by one,
/// each with its audit row.
/// </summary>
internal sealed class Books
{
    private readonly SqlSession _session;
    private readonly AgentRow _agent;
    private readonly VersionKeys _keys;
    private readonly Policy _policy;
    private readonly UtcTime _now;
    private readonly string? _requestId;

    public Books(
        SqlSession session, AgentRow agent, VersionKeys keys, Policy policy, UtcTime now, string? requestId,
        string? actor = null)
    {
        (_session, _agent, _keys, _policy, _now, _requestId) = (session, agent, keys, policy, now, requestId);
        Actor = actor ?? agent.AgentId;
        VersionRows.RetirePassed(session, agent.AgentId, now);
        Versions = Load(session, agent);
    }

    public string Actor { get; }

    public AgentVersions Versions { get; private set; }

    public static AgentVersions Load(SqlSession session, AgentRow agent)
    {
        var live = VersionRows.Live(session, agent.AgentId);
        return new AgentVersions(
            live.Find(row => row.State == VersionState.Active)?.Version ?? 0,
            live.Find(row => row.State == VersionState.Pending)?.Version ?? 0,
            agent.Highest, agent.InvalidateBelow);
    }

    public VersionRow Get(long version) => VersionRows.Find(_session, _agent.AgentId, version)
        ?? throw new StorageException($"version {version} of {_agent.AgentId} is missing after it was written");

    /// <summary>Writes what was decided; <paramref name="epoch"/> is that of a version that is new here but not
    /// new.</summary>
    public void Apply(RotationDecision decision, int? epoch)
    {
        foreach (var step in decision.Steps) Apply(step, epoch);
        if (decision.After.Highest != _agent.Highest)
            AgentRows.SetHighest(_session, _agent.AgentId, decision.After.Highest);
        Versions = decision.After;
    }

    public Outcome Conflict(string action, long version)
    {
        Audit("version_conflict", version, action);
        return new Outcome.Refused(ServerErrors.VersionConflict, "the server knows other versions of this agent")
        {
            ActiveVersion = Versions.Active,
            HighestVersion = Versions.Highest,
        };
    }

    public void Audit(string what, long version, string? action = null) => AuditChain.Append(
        _session, _now, Actor, _agent.AgentId, what,
        ("version", version), ("request_id", _requestId ?? ""), ("action", action ?? ""));

    private void Apply(VersionStep step, int? epoch)
    {
        var agentId = _agent.AgentId;
        switch (step)
        {
            case VersionStep.Prepare:
                Put(step.Version, _keys.CurrentEpoch, VersionState.Pending);
                Audit("version_prepared", step.Version);
                break;
            case VersionStep.Commit:
                RetireActive();
                Put(step.Version, epoch ?? _keys.CurrentEpoch, VersionState.Active);
                Audit("version_confirmed", step.Version);
                break;
            case VersionStep.Adopt:
                RetireActive();
                Put(step.Version, epoch ?? _keys.CurrentEpoch, VersionState.Active);
                Audit("server_behind", step.Version);
                break;
            case VersionStep.Burn:
                VersionRows.SetState(_session, agentId, step.Version, VersionState.Burned);
                Audit("version_burned", step.Version);
                break;
            case VersionStep.GiveUp:
                VersionRows.SetState(_session, agentId, step.Version, VersionState.Invalidated);
                Audit("version_given_up", step.Version);
                break;
            case VersionStep.Resend:
                Audit("version_resent", step.Version);
                break;
            default:
                throw new InvalidOperationException($"{step.GetType().Name} is not a step");
        }
    }

    // The order matters: the database itself refuses a second ACTIVE.
    private void RetireActive()
    {
        var active = VersionRows.Live(_session, _agent.AgentId).Find(row => row.State == VersionState.Active);
        if (active is null) return;
        var until = UtcTime.Max(active.GraceUntil, _now + _policy.GracePeriod);
        VersionRows.SetGrace(_session, _agent.AgentId, active.Version, until);
    }

    private void Put(long version, int epoch, VersionState state) => VersionRows.Put(
        _session, _agent.AgentId,
        new VersionRow(
            version, epoch, state, _keys.KcvOf(_agent.AgentId, version, epoch),
            _now, _policy.ValidUntil(_now), _policy.GraceUntil(_now)),
        _now, _requestId);
}
