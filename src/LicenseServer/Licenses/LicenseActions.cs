using System.Text;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Protocol.Tokens;
using LicenseServer.Agents;
using LicenseServer.Keys;
using LicenseServer.Rules;
using LicenseServer.Storage;

namespace LicenseServer.Licenses;

/// <summary>What the server says of a token.</summary>
/// <param name="Claims">Where it could be opened and its signature is right.</param>
/// <param name="InnerJws">The signed license, with <paramref name="Claims"/>.</param>
internal sealed record LicenseJudgement(string Reason, LicenseClaims? Claims = null, string? InnerJws = null)
{
    public bool IsValid => Reason == ValidationReasons.Valid;
}

/// <summary>
/// <c>validate-license</c> and <c>renew-license</c>: the server looks at a token as the till does, with its own keys,
/// and wraps the same signed license anew under the agent's ACTIVE version.
/// </summary>
internal sealed class LicenseActions(VersionKeys keys, FillRandom random)
{
    private static readonly TimeSpan NotBeforeLeeway = TimeSpan.FromSeconds(300);

    public Outcome Validate(SqlSession session, AgentRow agent, LicenseValidationRequest request, UtcTime now) =>
        new Outcome.Validated(Judge(session, agent, request.LicenseToken, VersionRule.Living, now));

    /// <summary>Any version that was made for this agent will do, but for those that an order ended.</summary>
    public Outcome Renew(SqlSession session, AgentRow agent, LicenseRenewalRequest request, UtcTime now)
    {
        var judged = Judge(session, agent, request.LicenseToken, VersionRule.NotCompromised, now);
        if (!judged.IsValid && judged.Reason != ValidationReasons.NotYetValid)
            return Refused($"the license is not renewed: {judged.Reason}");
        var active = VersionRows.Live(session, agent.AgentId).Find(row => row.State == VersionState.Active);
        if (active is null || !agent.HeldVersions.Contains(active.Version))
            return Refused("this agent holds no ACTIVE secret to wrap it under; it rotates at its next contact");
        var token = Wrap(agent.AgentId, active, judged.InnerJws!);
        if (token is null) return Refused("the license is too long to be wrapped anew");
        AuditChain.Append(
            session, now, agent.AgentId, agent.AgentId, "license_renewed",
            ("license_id", judged.Claims!.Sub), ("jti", judged.Claims.Jti), ("version", active.Version));
        return new Outcome.Renewed(token, active.Version);
    }

    /// <summary>In the till's order: shape, agent, version, tag, signature, audience, revocation, times.</summary>
    public LicenseJudgement Judge(
        SqlSession session, AgentRow agent, string token, VersionRule rule, UtcTime now)
    {
        if (!LicenseToken.TryParseShape(Encoding.UTF8.GetBytes(token), out var shape))
            return new LicenseJudgement(ValidationReasons.InvalidToken);
        if (shape.AgentId != agent.AgentId) return new LicenseJudgement(ValidationReasons.WrongAgent);
        if (VersionRows.Find(session, agent.AgentId, shape.Version) is not { } version)
        {
            return new LicenseJudgement(
                shape.Version > agent.Highest ? ValidationReasons.UnknownSecret : ValidationReasons.SecretInvalidated);
        }

        if (!IsUsable(agent, version, rule, now)) return new LicenseJudgement(ValidationReasons.SecretInvalidated);
        using var key = keys.TokenKey(agent.AgentId, version.Version, version.Epoch);
        var keyset = ServerStore.CurrentKeyset(session).Keyset;
        var opened = LicenseOpening.Open(
            shape, key, kid => keyset.Find(kid, KeyScopes.License), Es256.Verify, out var license);
        if (opened != LicenseOutcome.Opened) return new LicenseJudgement(ValidationReasons.InvalidToken);
        return new LicenseJudgement(Reason(session, agent, license!.Claims, now), license.Claims, license.InnerJws);
    }

    private static string Reason(SqlSession session, AgentRow agent, LicenseClaims claims, UtcTime now)
    {
        if (!claims.Aud.Contains(agent.AgentId)) return ValidationReasons.WrongAgent;
        if (LicenseRows.IsRevoked(session, agent.AgentId, claims.Sub)) return ValidationReasons.Revoked;
        if (now >= UtcTime.FromUnixSeconds(claims.Exp)) return ValidationReasons.Expired;
        return now < UtcTime.FromUnixSeconds(claims.Nbf) - NotBeforeLeeway
            ? ValidationReasons.NotYetValid
            : ValidationReasons.Valid;
    }

    private static bool IsUsable(AgentRow agent, VersionRow version, VersionRule rule, UtcTime now) => rule switch
    {
        VersionRule.Living => version.StateAt(now) is VersionState.Pending or VersionState.Active or VersionState.Grace,
        VersionRule.NotCompromised => version.Version >= agent.InvalidateBelow,
        _ => true,
    };

    private string? Wrap(string agentId, VersionRow version, string innerJws)
    {
        Span<byte> iv = stackalloc byte[12];
        random(iv);
        using var key = keys.TokenKey(agentId, version.Version, version.Epoch);
        try
        {
            return LicenseToken.Rewrap(
                Encoding.ASCII.GetBytes(innerJws), SecretKid.Format(agentId, version.Version), key, iv);
        }
        catch (ProtocolException)
        {
            // Minted tokens fit under every kid of their agent; only a foreign one is too long, and that is an answer.
            return null;
        }
    }

    private static Outcome.Refused Refused(string detail) => new(ServerErrors.LicenseRefused, detail);
}

/// <summary>Under which versions a token is opened.</summary>
internal enum VersionRule
{
    /// <summary>PENDING, ACTIVE and GRACE: what the till itself would open.</summary>
    Living,

    /// <summary>Every one that was made for the agent and not ended by an operator's order.</summary>
    NotCompromised,

    /// <summary>Every one, for an operator's eyes.</summary>
    Any,
}
