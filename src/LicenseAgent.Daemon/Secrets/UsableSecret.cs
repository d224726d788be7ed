using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Daemon.Secrets;

/// <summary>A secret that opens tokens now: its token key in locked memory and the times that end it.</summary>
/// <param name="Kid"><c>agent.vN</c>; the key is chosen by exact match.</param>
/// <param name="End">Trusted time at which it opens nothing more.</param>
/// <param name="TokenKey">Owned by the <see cref="SecretStore"/>; readers only borrow.</param>
/// <param name="Protection"><c>tpm</c> or <c>software</c>.</param>
internal sealed record UsableSecret(
    long Version, string Kid, SecretState State, UtcTime End, SecretBytes TokenKey, string Protection);
