using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using LicenseServer.Rules;
using LicenseServer.Storage;

namespace LicenseServer.Agents.Fallback;

/// <summary>
/// Agents whose TPM is lost, within a request's write transaction: a request by the software key begins or continues
/// the fallback or is refused; the next one by the TPM key ends it, and its key and versions with it.
/// </summary>
internal sealed class SoftwareFallback(bool automatic)
{
    /// <returns>The refusal that ends the request; null when it goes on.</returns>
    public Outcome? Judge(SqlSession session, AgentKeyRow key, AgentRequest request, UtcTime now)
    {
        // What a key signs for is what its versions are worth; a stored outcome cannot be asked for by the other key.
        var protection = request switch
        {
            RotateSecretRequest rotate => rotate.Protection,
            CheckInRequest checkIn => checkIn.Protection,
            _ => key.IsFallback ? Protections.Software : Protections.Tpm,
        };
        if (protection != (key.IsFallback ? Protections.Software : Protections.Tpm))
            return new Outcome.Unsigned(400, "the protection is not that of the key that signed");
        if (!key.IsFallback)
        {
            End(session, request.AgentId, now);
            return null;
        }

        return Enter(session, request.AgentId, now);
    }

    private Outcome.Refused? Enter(SqlSession session, string agentId, UtcTime now)
    {
        var loss = SoftwareRows.Find(session, agentId) ?? new SoftwareRow(null, null, null);
        if (SoftwareRules.Refusal(new SoftwareFacts(automatic, loss.ApprovedUntil, now)) is { } why)
        {
            if (loss.Asked is null)
            {
                SoftwareRows.Put(session, agentId, loss with { Asked = now });
                AuditChain.Append(session, now, agentId, agentId, "downgrade_refused", ("why", why));
            }

            return new Outcome.Refused(ServerErrors.DowngradeRefused, why);
        }

        if (loss.Since is null)
        {
            SoftwareRows.Put(session, agentId, loss with { Since = now });
            AuditChain.Append(
                session, now, agentId, agentId, "software_fallback_begun",
                ("by", automatic ? "policy" : "approval"), ("until", loss.ApprovedUntil?.ToString() ?? ""));
        }

        return null;
    }

    private static void End(SqlSession session, string agentId, UtcTime now)
    {
        if (SoftwareRows.Find(session, agentId) is not { } loss) return;
        SoftwareRows.Delete(session, agentId);
        if (loss.Since is null)
        {
            AuditChain.Append(session, now, agentId, agentId, "software_approval_ended");
            return;
        }

        var live = VersionRows.Live(session, agentId);
        var software = live.Where(row => SoftwareRows.IsSoftware(session, agentId, row.Version)).ToList();
        foreach (var row in software)
        {
            var ended = row.State == VersionState.Pending ? VersionState.Burned : VersionState.Invalidated;
            VersionRows.SetState(session, agentId, row.Version, ended);
        }

        // What the agent's TPM still holds as ACTIVE is ACTIVE here again, with the times it has there.
        var hadActive = software.Exists(row => row.State == VersionState.Active);
        var bound = live.FindLast(row => row.State == VersionState.Grace && !software.Contains(row));
        if (hadActive && bound is not null)
            VersionRows.SetState(session, agentId, bound.Version, VersionState.Active);
        KeyRows.SpendFallback(session, agentId, now);
        AuditChain.Append(
            session, now, agentId, agentId, "software_fallback_ended",
            ("versions_ended", (long)software.Count), ("active", bound?.Version ?? 0));
    }
}
