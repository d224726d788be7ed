namespace LicenseAgent.Protocol.Jose;

// Placeholder until Jose lands: whoever lands EcPublicJwk, RsaPublicJwk and Es256Verify deletes this file.
public sealed record EcPublicJwk(string Crv, string Kty, string X, string Y);

public sealed record RsaPublicJwk(string E, string Kty, string N);

public delegate bool Es256Verify(EcPublicJwk key, ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature64);
