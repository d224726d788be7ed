using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Local;

/// <summary><c>POST /v1/renew-license</c>.</summary>
/// <param name="LicenseToken">Compact JWE, at most 8 192 bytes.</param>
/// <param name="Nonce">16 bytes, accepted once per UID within 900 s, as with a validation.</param>
public sealed record RenewLicenseRequest(string LicenseToken, Nonce16 Nonce);

/// <summary>Answer of <c>POST /v1/renew-license</c>.</summary>
/// <param name="LicenseToken">The same license under the agent's ACTIVE secret; the application stores it.</param>
/// <param name="Nonce">Echo.</param>
public sealed record RenewLicenseResponse(string LicenseToken, Nonce16 Nonce);
