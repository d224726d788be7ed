using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace LicensePki;

/// <summary>
/// An agent's certificate request (PKCS #10): an ECDSA P-256 key and exactly one name,
/// <c>URI:license-agent:&lt;agent_id&gt;</c>. The subject is empty or <c>CN=&lt;agent_id&gt;</c>; no other extension
/// or attribute may be asked for, because whoever signs requests must not be talked into names or usages by the one
/// who makes them.
/// </summary>
public static class AgentCsr
{
    private const string P256Oid = "1.2.840.10045.3.1.7";
    private const int RequestBytesMax = 4096;

    /// <summary>Makes the request that <see cref="Check"/> accepts.</summary>
    /// <returns>PKCS #10, DER.</returns>
    public static byte[] Create(ECDsa key, string agentId)
    {
        var request = new CertificateRequest(CertificateAuthority.NameOf(agentId), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(AlternativeNames.ForAgent(agentId));
        return request.CreateSigningRequest();
    }

    /// <summary>The key of a request that asks for this agent and for nothing else; its own signature is
    /// verified.</summary>
    /// <exception cref="PkiException">The request is malformed or asks for something else.</exception>
    public static PublicKey Check(ReadOnlySpan<byte> der, string agentId)
    {
        var request = Load(der);
        if (request.PublicKey.Oid.Value != "1.2.840.10045.2.1" || CurveOf(request.PublicKey) != P256Oid)
            throw new PkiException("the certificate request's key is not ECDSA P-256");
        var subject = request.SubjectName.Name;
        if (subject.Length != 0 && subject != CertificateAuthority.NameOf(agentId).Name)
            throw new PkiException($"the certificate request's subject is not CN={agentId}");
        if (request.OtherRequestAttributes.Count != 0 || request.CertificateExtensions.Count != 1)
            throw new PkiException("the certificate request asks for more than one subject alternative name extension");
        var names = AlternativeNames.Read(request.CertificateExtensions);
        if (names.Count != 1 || names[0] != new AlternativeName(NameKind.Uri, AlternativeNames.AgentUri(agentId)))
            throw new PkiException($"the certificate request does not ask for exactly URI:license-agent:{agentId}");
        return request.PublicKey;
    }

    private static CertificateRequest Load(ReadOnlySpan<byte> der)
    {
        if (der.Length > RequestBytesMax)
            throw new PkiException($"the certificate request is longer than {RequestBytesMax} bytes");
        try
        {
            var request = CertificateRequest.LoadSigningRequest(
                der, HashAlgorithmName.SHA256, out var consumed,
                CertificateRequestLoadOptions.UnsafeLoadCertificateExtensions);
            if (consumed != der.Length) throw new PkiException("the certificate request has trailing bytes");
            return request;
        }
        catch (Exception error) when (error is CryptographicException or NotSupportedException)
        {
            throw new PkiException("the certificate request is malformed or its signature is wrong", error);
        }
    }

    private static string CurveOf(PublicKey key)
    {
        using var ecdsa = key.GetECDsaPublicKey();
        return ecdsa?.ExportParameters(false).Curve.Oid.Value ?? "";
    }
}
