using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Messages;

namespace LicenseServer.Agents;

/// <summary>Reads the payload of a request by its endpoint and checks every value that the record's types leave
/// open.</summary>
internal static class RequestShape
{
    private const int HeldVersionsMax = 64;
    private const int NameBytesMax = 128;
    private static readonly string[] Modes = ["NORMAL", "OFFLINE", "DEGRADED", "EXHAUSTED", "LOCKED"];

    /// <summary>The action that belongs to a path, or null when there is no such endpoint.</summary>
    public static string? ActionOf(string path) => path switch
    {
        AgentPaths.Enroll => AgentActions.Enroll,
        AgentPaths.RotateSecret => AgentActions.RotateSecret,
        AgentPaths.ConfirmRotation => AgentActions.ConfirmRotation,
        AgentPaths.RejectRotation => AgentActions.RejectRotation,
        AgentPaths.CheckIn => AgentActions.CheckIn,
        AgentPaths.ValidateLicense => AgentActions.ValidateLicense,
        AgentPaths.RenewLicense => AgentActions.RenewLicense,
        AgentPaths.RenewCertificate => AgentActions.RenewCertificate,
        _ => null,
    };

    /// <exception cref="ProtocolException">Not a request of this action.</exception>
    public static AgentRequest Read(string action, ReadOnlySpan<byte> payload)
    {
        var wire = RequestJsonContext.Wire;
        AgentRequest request = action switch
        {
            AgentActions.Enroll => StrictJson.Read(payload, wire.EnrollRequest),
            AgentActions.RotateSecret => StrictJson.Read(payload, wire.RotateSecretRequest),
            AgentActions.ConfirmRotation => StrictJson.Read(payload, wire.ConfirmRotationRequest),
            AgentActions.RejectRotation => StrictJson.Read(payload, wire.RejectRotationRequest),
            AgentActions.CheckIn => StrictJson.Read(payload, wire.CheckInRequest),
            AgentActions.ValidateLicense => StrictJson.Read(payload, wire.LicenseValidationRequest),
            AgentActions.RenewLicense => StrictJson.Read(payload, wire.LicenseRenewalRequest),
            AgentActions.RenewCertificate => StrictJson.Read(payload, wire.RenewCertificateRequest),
            _ => throw new ArgumentOutOfRangeException(nameof(action), action, "Not an action of the agent API."),
        };
        Require(AgentId.IsValid(request.AgentId), "/agent_id");
        Require(RequestId.IsValid(request.RequestId), "/request_id");
        CheckMembers(request);
        return request;
    }

    /// <summary>SHA-256 of the server's own serialisation of what a retry must repeat.</summary>
    public static Digest32 OperationOf(AgentRequest request)
    {
        var wire = RequestJsonContext.Wire;
        return Digest32.Sha256(request.ToOperation() switch
        {
            EnrollRequest operation => StrictJson.Write(operation, wire.EnrollRequest),
            RotateSecretRequest operation => StrictJson.Write(operation, wire.RotateSecretRequest),
            ConfirmRotationRequest operation => StrictJson.Write(operation, wire.ConfirmRotationRequest),
            RejectRotationRequest operation => StrictJson.Write(operation, wire.RejectRotationRequest),
            CheckInRequest operation => StrictJson.Write(operation, wire.CheckInRequest),
            RenewCertificateRequest operation => StrictJson.Write(operation, wire.RenewCertificateRequest),
            var other => throw new ArgumentException($"{other.GetType().Name} has no operation"),
        });
    }

    private static void CheckMembers(AgentRequest request)
    {
        switch (request)
        {
            case RotateSecretRequest rotate:
                Require(IsVersion(rotate.CurrentSecretVersion, least: 0), "/current_secret_version");
                Require(IsVersion(rotate.HighestVersionSeen, least: 0), "/highest_version_seen");
                Require(rotate.KcvCurrent.Length == 0 || Kcv.TryParse(rotate.KcvCurrent, out _), "/kcv_current");
                Require(RotationReasons.All.Contains(rotate.Reason), "/reason");
                Require(rotate.Protection is Protections.Tpm or Protections.Software, "/protection");
                CheckEvidence(rotate.Audit, rotate.Clock);
                break;
            case ConfirmRotationRequest confirm:
                Require(IsVersion(confirm.SecretVersion, least: 1), "/secret_version");
                break;
            case RejectRotationRequest reject:
                Require(IsVersion(reject.SecretVersion, least: 1), "/secret_version");
                Require(RejectReasons.All.Contains(reject.Reason), "/reason");
                break;
            case CheckInRequest checkIn:
                CheckReport(checkIn);
                CheckEvidence(checkIn.Audit, checkIn.Clock);
                break;
            case EnrollRequest enroll:
                Require(LimitedText.Fits(enroll.SrkName, 0, NameBytesMax), "/srk_name");
                break;
        }
    }

    private static void CheckReport(CheckInRequest report)
    {
        Require(Modes.Contains(report.Mode), "/mode");
        Require(report.LockReason is null || LimitedText.Fits(report.LockReason, 1, NameBytesMax), "/lock_reason");
        Require(IsVersion(report.ActiveVersion, least: 0), "/active_version");
        Require(report.HeldVersions.Count <= HeldVersionsMax, "/held_versions");
        Require(report.HeldVersions.All(version => IsVersion(version, least: 1)), "/held_versions");
        Require(report.Protection is Protections.Tpm or Protections.Software, "/protection");
        Require(TpmReports.All.Contains(report.Tpm), "/tpm");
        Require(report.RevocationsVersion >= 0, "/revocations_version");
        Require(report.KeysetVersion >= 0, "/keyset_version");
        Require(LimitedText.Fits(report.AgentVersion, 1, NameBytesMax), "/agent_version");
    }

    private static void CheckEvidence(AuditEvidence audit, ClockEvidence clock)
    {
        Require(audit.Seq >= 0, "/audit/seq");
        Require(audit.Witnessed is null or { Seq: >= 0 }, "/audit/witnessed/seq");
        Require(LimitedText.Fits(clock.BootId, 0, NameBytesMax), "/clock/boot_id");
    }

    private static bool IsVersion(long version, long least) => version >= least && version <= SecretKid.MaxVersion;

    private static void Require(bool holds, string member)
    {
        if (!holds) throw new ProtocolException("json_value", member);
    }
}
