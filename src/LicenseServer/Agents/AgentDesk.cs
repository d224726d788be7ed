using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Keysets;
using LicensePki;
using LicenseServer.Keys;
using LicenseServer.Rules;
using LicenseServer.Storage;

namespace LicenseServer.Agents;

/// <summary>An operator's request that cannot be met; the message names the fact and the remedy.</summary>
internal sealed class OrderRefusedException(string message) : Exception(message);

/// <summary>What operators do to agents: add them, and set the levels that their check-ins are told.</summary>
internal sealed class AgentDesk(ServerStore store, VersionKeys keys, TimeProvider time, FillRandom random, string actor)
{
    private Database Database => store.Database;

    private UtcTime Now => UtcTime.From(time.GetUtcNow());

    /// <summary>Adds the agent if it is new, and makes a bundle for it; bundles made earlier and not used
    /// end.</summary>
    /// <param name="replace">Wanted for an agent that is enrolled: whoever uses the bundle takes its place, and its
    /// keys and versions end.</param>
    public async Task<EnrollmentBundle> AddAsync(string agentId, bool replace = false)
    {
        if (!AgentId.IsValid(agentId))
            throw new OrderRefusedException($"'{agentId}' is no agent id: 1-63 of a-z, 0-9, '-', no '-' at an end");
        var token = new byte[Digest32.Length];
        random(token);
        var expires = Now + store.Options.BundleLifetime;
        var hash = Digest32.Sha256(token);
        await Database.WriteAsync(session =>
        {
            var isNew = AgentRows.Add(session, agentId, Now);
            var isEnrolled = AgentRows.Find(session, agentId)?.Enrolled is not null;
            if (isEnrolled && !replace)
            {
                throw new OrderRefusedException(
                    $"{agentId} is enrolled. A bundle ends its present keys and versions once it is used: if its TPM "
                    + "was cleared or replaced, add --replace");
            }

            if (!isEnrolled && replace)
                throw new OrderRefusedException($"{agentId} is not enrolled, nothing is replaced; leave out --replace");
            EnrollmentRows.DropUnused(session, agentId);
            EnrollmentRows.Add(session, hash, agentId, expires);
            AuditChain.Append(session, Now, actor, agentId, (isNew, isEnrolled) switch
            {
                (true, _) => "agent_added",
                (_, true) => "agent_replacement_made",
                _ => "agent_bundle_made",
            });
            return isNew;
        });

        using var certificate = PemFile.ReadCertificate(store.Options.TlsCertFile);
        using var authority = PemFile.ReadCertificate(store.Options.ServerCaCertFile);
        var keyset = store.CurrentKeyset();
        return new EnrollmentBundle(
            1, agentId, store.Options.UrlForAgents.GetLeftPart(UriPartial.Authority), store.Options.ServerName,
            [SpkiPin.Of(certificate).ToString()], Base64UrlText.Encode(authority.RawData),
            new KeysetPin(keyset.Keyset.Version, keyset.PayloadSha256), Digest32.From(token), expires);
    }

    public Task SuspendAsync(string agentId, bool suspended) => OrderAsync(
        agentId, suspended ? "agent_suspended" : "agent_resumed",
        (session, _) => AgentRows.SetSuspended(session, agentId, suspended));

    /// <param name="until">Null lifts the limit.</param>
    public Task LimitGraceAsync(string agentId, UtcTime? until) => OrderAsync(
        agentId, "grace_limited", (session, _) => AgentRows.SetLimitGrace(session, agentId, until),
        ("until", until?.ToString() ?? ""));

    /// <summary>Holds while the agent's ACTIVE is the one of now, or lower.</summary>
    public Task RotateNowAsync(string agentId) => OrderAsync(
        agentId, "rotation_ordered",
        (session, agent) => AgentRows.SetRotateAbove(session, agentId, Books.Load(session, agent).Active));

    /// <summary>
    /// An operator has seen to it that one machine has this identity and that its state was rightly lost: ends
    /// CLONE_SUSPECT, and recoveries are counted from now. What the clocks told before is forgotten; if a second
    /// machine is still there, it gives itself away again.
    /// </summary>
    public Task ApproveRecoveryAsync(string agentId) => OrderAsync(
        agentId, "recovery_approved",
        (session, agent) =>
        {
            AgentRows.SetRecoveryApproved(session, agentId, Now);
            if (agent.CloneSince is null) return;
            AgentRows.SetClone(session, agentId, since: null, evidence: null);
            ClockRows.Forget(session, agentId);
        });

    /// <summary>Lets a waiting enrolment through.</summary>
    /// <param name="thumbprint">As read at the till; it must be that of the key that waits.</param>
    public Task ApproveAsync(string agentId, string thumbprint) => OrderAsync(
        agentId, "enrollment_approved",
        (session, _) =>
        {
            var waiting = EnrollmentRows.Waiting(session, agentId, Now)
                ?? throw new OrderRefusedException($"no enrolment of {agentId} waits; see `agents show {agentId}`");
            if (waiting != thumbprint)
            {
                throw new OrderRefusedException(
                    $"the key that waits is {waiting}, not {thumbprint}: if the till shows the latter, somebody else "
                    + "used its bundle");
            }

            EnrollmentRows.Approve(session, agentId, thumbprint);
        },
        ("thumbprint", thumbprint));

    /// <summary>Thumbprint of the signing key whose enrolment waits for an operator.</summary>
    public string? Waiting(string agentId) =>
        Database.Read(session => EnrollmentRows.Waiting(session, agentId, Now));

    /// <summary>Holds until the agent has enrolled anew.</summary>
    public Task ReEnrollAsync(string agentId) => OrderAsync(
        agentId, "re_enrollment_ordered", (session, _) => AgentRows.SetReEnroll(session, agentId));

    /// <summary>Ends every version below <paramref name="version"/>, which may be at most one above the
    /// highest.</summary>
    public Task InvalidateBelowAsync(string agentId, long version) => OrderAsync(
        agentId, "versions_invalidated",
        (session, agent) =>
        {
            if (version > agent.Highest + 1)
            {
                throw new OrderRefusedException(
                    $"the highest version of {agentId} is {agent.Highest}: at most {agent.Highest + 1} can be ordered");
            }

            var books = new Books(session, agent, keys, store.Options.Policy, Now, null, actor);
            books.Apply(RotationRules.InvalidateBelow(books.Versions, version), epoch: null);
            AgentRows.SetInvalidateBelow(session, agentId, books.Versions.InvalidBelow);
            VersionRows.InvalidateBelow(session, agentId, version);
        },
        ("version", version));

    /// <summary>Lets an agent whose TPM is lost go on with its software keys. One approval is for one loss: the next
    /// request that its TPM signs ends it.</summary>
    public Task ApproveSoftwareAsync(string agentId, int days) => OrderAsync(
        agentId, "software_approved",
        (session, _) =>
        {
            if (days is < 1 or > SoftwareRules.ApprovalDaysMax)
                throw new OrderRefusedException($"--days {days}: give 1 to {SoftwareRules.ApprovalDaysMax}");
            if (KeyRows.Find(session, agentId, isFallback: true) is null)
            {
                throw new OrderRefusedException(
                    $"{agentId} has registered no software key: tpm.fallback is off there, or its key was spent. "
                    + "Repair or replace its TPM, then: agents add ID --replace");
            }

            var loss = SoftwareRows.Find(session, agentId) ?? new SoftwareRow(null, null, null);
            SoftwareRows.Put(session, agentId, loss with { ApprovedUntil = Now + TimeSpan.FromDays(days) });
        },
        ("days", (long)days));

    /// <summary>The loss of the agent's TPM, if there is one.</summary>
    public SoftwareRow? FindSoftware(string agentId) =>
        Database.Read(session => SoftwareRows.Find(session, agentId));

    public IReadOnlyList<AgentRow> Page(string after, int count) =>
        Database.Read(session => AgentRows.Page(session, after, count));

    /// <summary>The agent, the thumbprint of its signing key, and its latest versions; null when it is
    /// unknown.</summary>
    public (AgentRow Agent, string? Thumbprint, IReadOnlyList<VersionRow> Versions)? Find(
        string agentId, int versions) =>
        Database.Read(session =>
            AgentRows.Find(session, agentId) is not { } agent
                ? ((AgentRow, string?, IReadOnlyList<VersionRow>)?)null
                : (agent, KeyRows.Find(session, agentId, isFallback: false)?.Thumbprint,
                    VersionRows.Latest(session, agentId, versions)));

    private Task<bool> OrderAsync(
        string agentId, string what, Action<SqlSession, AgentRow> order, params Detail[] details) =>
        Database.WriteAsync(session =>
        {
            var agent = AgentRows.Find(session, agentId)
                ?? throw new OrderRefusedException($"there is no agent '{agentId}'; see `agents list`");
            order(session, agent);
            AuditChain.Append(session, Now, actor, agentId, what, details);
            return true;
        });
}
