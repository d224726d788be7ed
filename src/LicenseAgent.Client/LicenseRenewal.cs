namespace LicenseAgent.Client;

/// <summary>How asking for a license to be wrapped anew ended.</summary>
public enum RenewalOutcome
{
    /// <summary><see cref="LicenseRenewal.Token"/> is to be stored in place of the one presented.</summary>
    Renewed,

    /// <summary>The license server said no: expired, revoked, or not a license of this machine.</summary>
    Refused,

    /// <summary>The license server was not reached; ask again later. The license is no worse for it.</summary>
    NoContact,
}

/// <summary>Answer to <see cref="LicenseAgentClient.RenewAsync"/>.</summary>
/// <param name="Token">With <see cref="RenewalOutcome.Renewed"/>: the same license under the newest secret.</param>
/// <param name="Detail">Otherwise: the fact and the remedy.</param>
public sealed record LicenseRenewal(RenewalOutcome Outcome, string? Token, string? Detail);
