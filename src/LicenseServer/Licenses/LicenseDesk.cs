using System.Text;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Protocol.Tokens;
using LicenseServer.Agents;
using LicenseServer.Keys;
using LicenseServer.Rules;
using LicenseServer.Storage;

namespace LicenseServer.Licenses;

/// <summary>What a license is to say.</summary>
internal sealed record LicenseOrder(string AgentId, string Product, UtcTime Expires)
{
    /// <summary>Null: a new id is made.</summary>
    public string? LicenseId { get; init; }

    public UtcTime? NotBefore { get; init; }

    public IReadOnlyList<string> Features { get; init; } = [];

    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();
}

internal sealed record IssuedLicense(string LicenseId, string Jti, long SecretVersion, string Token);

/// <summary>
/// Mints and revokes licenses. A token is minted only under the version that its agent has confirmed and, at its last
/// check-in, said to hold: one under any other would be refused at the till.
/// </summary>
internal sealed class LicenseDesk(
    ServerStore store, VersionKeys keys, TimeProvider time, FillRandom random, string actor)
{
    private UtcTime Now => UtcTime.From(time.GetUtcNow());

    public Task<IssuedLicense> IssueAsync(LicenseOrder order) => store.Database.WriteAsync(session =>
    {
        var now = Now;
        var agent = AgentRows.Find(session, order.AgentId)
            ?? throw new OrderRefusedException($"there is no agent '{order.AgentId}'; `agents add` it first");
        var version = Mintable(session, agent);
        var claims = Claims(order, now);
        if (order.Expires <= now) throw new OrderRefusedException("the license would have expired already");
        if (LicenseRows.IsRevoked(session, order.AgentId, claims.Sub))
        {
            throw new OrderRefusedException(
                $"license '{claims.Sub}' is revoked for {order.AgentId}; issue one with a new id");
        }

        var token = Mint(claims, order.AgentId, version);
        LicenseRows.Add(session, new LicenseRow(
            claims.Jti, claims.Sub, order.AgentId, version.Version, order.Product,
            Encoding.UTF8.GetString(claims.Write()), now, order.Expires, IsRevoked: false));
        AuditChain.Append(
            session, now, actor, order.AgentId, "license_issued",
            ("license_id", claims.Sub), ("jti", claims.Jti), ("version", version.Version));
        return new IssuedLicense(claims.Sub, claims.Jti, version.Version, token);
    });

    /// <summary>Revokes a license id at every agent that holds a token of it.</summary>
    /// <returns>The agents that will be told.</returns>
    public Task<IReadOnlyList<string>> RevokeAsync(string licenseId) => store.Database.WriteAsync(session =>
    {
        var agents = LicenseRows.AgentsOf(session, licenseId);
        if (agents.Count == 0)
            throw new OrderRefusedException($"no license '{licenseId}' was issued; see `licenses list`");
        foreach (var agentId in agents) Revoke(session, agentId, licenseId);
        return (IReadOnlyList<string>)agents;
    });

    /// <summary>What the server says of a token of any of its agents.</summary>
    public LicenseJudgement Inspect(string token)
    {
        if (!LicenseToken.TryParseShape(Encoding.UTF8.GetBytes(token), out var shape))
            return new LicenseJudgement(ValidationReasons.InvalidToken);
        var agentId = shape.AgentId;
        return store.Database.Read(session => AgentRows.Find(session, agentId) is { } agent
            ? new LicenseActions(keys, random).Judge(session, agent, token, VersionRule.Any, Now)
            : throw new OrderRefusedException($"the token is for '{agentId}', which is no agent of this server"));
    }

    public IReadOnlyList<LicenseRow> Page(string? agentId, string afterJti, int count) =>
        store.Database.Read(session => LicenseRows.Page(session, agentId, afterJti, count));

    private void Revoke(SqlSession session, string agentId, string licenseId)
    {
        if (LicenseRows.IsRevoked(session, agentId, licenseId)) return;
        if (LicenseRows.CountRevoked(session, agentId) >= AgentApiLimits.RevokedLicenses)
        {
            throw new OrderRefusedException(
                $"{agentId} has {AgentApiLimits.RevokedLicenses} revoked licenses, the most an answer may carry; "
                + $"`agents invalidate-below {agentId} N` ends all its older tokens at once");
        }

        var agent = AgentRows.Find(session, agentId)!;
        var version = agent.RevocationsVersion + 1;
        LicenseRows.Revoke(session, agentId, licenseId, version, Now);
        AgentRows.SetRevocationsVersion(session, agentId, version);
        AuditChain.Append(
            session, Now, actor, agentId, "license_revoked",
            ("license_id", licenseId), ("revocations_version", version));
    }

    private static VersionRow Mintable(SqlSession session, AgentRow agent)
    {
        var active = VersionRows.Live(session, agent.AgentId).Find(row => row.State == VersionState.Active);
        if (active is null)
            throw new OrderRefusedException($"{agent.AgentId} has confirmed no secret yet; enrol it, then try again");
        if (!agent.HeldVersions.Contains(active.Version))
        {
            throw new OrderRefusedException(
                $"{agent.AgentId} does not hold version {active.Version} any more; it rotates at its next contact");
        }

        return active;
    }

    private LicenseClaims Claims(LicenseOrder order, UtcTime now)
    {
        var notBefore = order.NotBefore ?? now;
        return new LicenseClaims(
            store.Options.ServerName, order.LicenseId ?? NewId("lic"), [order.AgentId], NewId("jti"),
            now.UnixSeconds, notBefore.UnixSeconds, order.Expires.UnixSeconds, order.Product, order.Features,
            order.Metadata);
    }

    private string Mint(LicenseClaims claims, string agentId, VersionRow version)
    {
        Span<byte> iv = stackalloc byte[12];
        random(iv);
        using var key = keys.TokenKey(agentId, version.Version, version.Epoch);
        try
        {
            return LicenseToken.Mint(
                claims, store.Keys.License.Kid, SecretKid.Format(agentId, version.Version), key, iv,
                store.Keys.License.Sign);
        }
        catch (ProtocolException error)
        {
            throw new OrderRefusedException($"the license is out of its limits: {error.Message}");
        }
    }

    private string NewId(string prefix)
    {
        Span<byte> bytes = stackalloc byte[12];
        random(bytes);
        return prefix + "-" + Convert.ToHexStringLower(bytes);
    }
}
