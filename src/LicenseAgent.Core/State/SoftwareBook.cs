using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace LicenseAgent.Core;

/// <summary>
/// The versions made for the software keys of a till whose TPM is lost. They stand beside the bound state, which stays
/// untouched until the TPM is back, and have no protection against being rolled back.
/// </summary>
/// <param name="Intent">Durable before its request leaves.</param>
/// <param name="Secrets">ACTIVE and GRACE, by version, rising.</param>
public sealed record SoftwareBook(
    RotationIntent? Intent, PendingSecret? Pending, ImmutableArray<SecretEntry> Secrets)
{
    public static readonly SoftwareBook Empty = new(null, null, []);

    [JsonIgnore]
    public SecretEntry? Active => Secrets.FirstOrDefault(s => s.State == SecretState.Active);

    [JsonIgnore]
    public IEnumerable<long> Versions => Pending is { } pending
        ? Secrets.Select(s => s.Version).Append(pending.Entry.Version)
        : Secrets.Select(s => s.Version);
}
