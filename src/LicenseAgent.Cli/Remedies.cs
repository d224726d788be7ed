using LicenseAgent.Protocol.Local;

namespace LicenseAgent.Cli;

/// <summary>What to do about each state and refusal, in a sentence or two for whoever stands at the till.</summary>
internal static class Remedies
{
    private const string CheckTheWay =
        "Check this machine's network and that the license server runs. The agent keeps trying by itself.";

    /// <summary>Null where there is nothing to do.</summary>
    public static string? OfMode(string mode, string? lockReason) => mode switch
    {
        "NORMAL" => null,
        "OFFLINE" => $"Licenses are validated, but the license server was not reached lately. {CheckTheWay}",
        "DEGRADED" => $"Licenses are validated until grace ends. {CheckTheWay}",
        "EXHAUSTED" => $"Grace has ended and licenses are refused. {CheckTheWay} One contact ends this.",
        "LOCKED" => OfLock(lockReason),
        _ => null,
    };

    public static string OfValidation(string reason) => reason switch
    {
        ValidationReasons.Expired => "The license has ended. Get a new one from the vendor.",
        ValidationReasons.NotYetValid => "The license begins later. If it should hold now, check this till's clock.",
        ValidationReasons.Revoked => "The vendor has revoked the license. Ask the vendor.",
        ValidationReasons.WrongAgent =>
            "The license was issued for another till. Present the one issued for this till.",
        ValidationReasons.UnknownSecret =>
            "The license was made under a version this till has not got yet. Try `license-agent-cli rotate`; "
            + "if that does not help, compare `secrets` with `license-server agents show`.",
        ValidationReasons.SecretInvalidated =>
            "The license was made under a version that is no longer held. Have the server issue it anew.",
        ValidationReasons.InvalidToken =>
            "These are not the bytes of a license of this vendor. Copy the license again, whole and unchanged.",
        ValidationReasons.GraceExhausted => OfMode("EXHAUSTED", null)!,
        ValidationReasons.NoSecret =>
            "The agent holds no secret. `license-agent-cli status` says why; `license-agent-cli rotate` asks for one.",
        ValidationReasons.Locked =>
            "The agent is locked, or was started a moment ago and has not opened this license's secret yet: try again "
            + "in a few seconds, then `license-agent-cli status` says why and what to do.",
        _ => "`license-agent-cli status` may say more.",
    };

    public static string OfRotation(string? reason) => reason switch
    {
        "not_enrolled" => OfLock("not_enrolled"),
        "suspended" or "agent_suspended" => OfLock("suspended"),
        "tpm_unavailable" or "tpm_replaced" => OfLock(reason),
        "starting" => OfLock("starting"),
        "storage_failed" =>
            "The state directory cannot be written: free its disk, then journalctl -u license-agent tells more.",
        "too_many_waiting" => "Others wait for the same rotation. Try again in a minute.",
        "too_many_grace" => "Too many versions are in grace. Invalidate the oldest of `license-agent-cli secrets`.",
        "rate_limited" => "The license server asks to wait. The agent tries again by itself.",
        "agent_unknown" => "The license server does not know this till. Its operator adds it and gives a new bundle.",
        "clone_suspect" => "The license server saw two machines with this identity. Its operator decides.",
        "downgrade_refused" => "The license server wants the TPM's signature. See `license-agent-cli tpm`.",
        "certificate_expired" => "This till's certificate has expired. The agent renews it with the license server.",
        "unwrap_failed" or "kcv_mismatch" or "reopen_failed" or "staging_failed" =>
            "The TPM could not open the new secret. See `license-agent-cli tpm`; the agent tries again by itself.",
        _ => $"{CheckTheWay} journalctl -u license-agent tells more.",
    };

    private static string OfLock(string? reason) => reason switch
    {
        "not_enrolled" =>
            "Not enrolled. On the server: license-server agents add ID; here: license-agent-cli enroll --bundle FILE.",
        "starting" => "The agent is still starting. Try again in a few seconds.",
        "tpm_unavailable" =>
            "The TPM does not answer. Check [tpm] device in the configuration; `license-agent-cli tpm` says more.",
        "tpm_replaced" =>
            "This is not the TPM the till was enrolled with, or it was cleared. Put it back, or on the server: "
            + "license-server agents add ID --replace; here: license-agent-cli enroll --replace --bundle FILE.",
        "identity_damaged" =>
            "agent.json in the state directory is damaged. Put it back from a backup and restart the agent, or on the "
            + "server: license-server agents add ID --replace; here: license-agent-cli enroll --replace --bundle FILE.",
        "certificate_damaged" =>
            "tls.pem in the state directory is damaged or missing. Put it back from a backup, or on the server: "
            + "license-server agents add ID --replace; here: license-agent-cli enroll --replace --bundle FILE.",
        "suspended" => "The license server has suspended this till. Its operator resumes it.",
        "state_rollback" or "state_corrupt" or "secret_unreadable" =>
            "The state on disk was put back or damaged. The agent asks the license server to repair it. " + CheckTheWay,
        "NO_SECRET" => $"No secret is usable; the agent asks for a new one. {CheckTheWay}",
        _ => "journalctl -u license-agent tells more.",
    };
}
