using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Local;

namespace LicenseAgent.Client;

/// <summary>What the agent says of a license, and whether the client believes it.</summary>
/// <param name="IsValid">The license is good now. Only with this may the application run on it.</param>
/// <param name="Reason">
/// One of <see cref="ValidationReasons"/>, or <see cref="Unverified"/> when the agent said yes and the proof is wrong.
/// </param>
/// <param name="Detail">With <see cref="Unverified"/>: what is wrong with the proof.</param>
/// <param name="Mode">The agent's mode: NORMAL, OFFLINE, DEGRADED, EXHAUSTED or LOCKED.</param>
/// <param name="Protection"><c>tpm</c> or <c>software</c>: what protects the secret on this machine.</param>
/// <param name="LicenseId">From here to <paramref name="SecretVersion"/>: where the token could be opened.</param>
/// <param name="UsableUntil">When valid: until then it stays so without any contact with the license server.</param>
/// <param name="RenewedToken">
/// The same license under a newer secret: store it in place of the one presented, which will stop working.
/// <see cref="LicenseAgentClient.ValidateStoredAsync"/> does it.
/// </param>
/// <param name="IsRenewable">The token is too old for this agent; the license server can wrap the license anew.</param>
public sealed record LicenseValidation(
    bool IsValid, string Reason, string? Detail, string Mode, string Protection,
    string? LicenseId, string? Product, UtcTime? ExpiresAt,
    IReadOnlyList<string> Features, IReadOnlyDictionary<string, string> Metadata, long? SecretVersion,
    UtcTime? UsableUntil, string? RenewedToken, bool IsRenewable)
{
    /// <summary>The agent said yes without a license that the vendor signed.</summary>
    public const string Unverified = "UNVERIFIED";

    /// <summary>There is no token in the application's store.</summary>
    public const string NoToken = "NO_TOKEN";

    /// <summary>
    /// Why a renewed token could not be stored, by <see cref="LicenseAgentClient.ValidateStoredAsync"/>. The license is
    /// no less valid; the token in the store works until its secret ends, so this wants attention within days.
    /// </summary>
    public IOException? StoreFailure { get; init; }

    /// <summary>Whether the license is valid and has a feature, by its exact name.</summary>
    public bool Allows(string feature) => IsValid && Features.Contains(feature, StringComparer.Ordinal);

    internal static LicenseValidation Nothing { get; } = new(
        false, NoToken, "The token store is empty.", "", "", null, null, null, [], new Dictionary<string, string>(),
        null, null, null, false);

    internal static LicenseValidation Of(ValidateLicenseResponse said, string? doubt) => new(
        said.Valid && doubt is null, doubt is null ? said.Reason : Unverified, doubt, said.Mode, said.Protection,
        said.LicenseId, said.Product, said.ExpiresAt, said.Features ?? [],
        said.Metadata ?? new Dictionary<string, string>(), said.SecretVersion,
        doubt is null ? said.UsableUntil : null, doubt is null ? said.RenewedToken : null, said.Renewable ?? false);
}
