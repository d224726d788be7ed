using LicenseAgent.Protocol.Encoding;

namespace LicenseServer.Rules;

/// <summary>What a request signed by an agent's software key is judged by.</summary>
/// <param name="Automatic">The server's policy lets every agent go on in software.</param>
/// <param name="ApprovedUntil">An operator's approval for this loss.</param>
internal readonly record struct SoftwareFacts(bool Automatic, UtcTime? ApprovedUntil, UtcTime Now);

/// <summary>
/// Whether an agent may go on with the software keys on its disk. They work on any machine that has a copy of that disk
/// and of the key file, so nothing but the policy or an operator makes them count.
/// </summary>
internal static class SoftwareRules
{
    /// <summary>An operator approves for at most this long: a till whose TPM is dead is to be repaired.</summary>
    public const int ApprovalDaysMax = 30;

    /// <summary>Why not; null when it may.</summary>
    public static string? Refusal(SoftwareFacts facts) => facts switch
    {
        { Automatic: true } => null,
        { ApprovedUntil: { } until } when facts.Now < until => null,
        { ApprovedUntil: { } until } => $"the approval of the software keys ended at {until}",
        _ => "software keys count only after: license-server agents approve-recovery ID --software --days N",
    };
}
