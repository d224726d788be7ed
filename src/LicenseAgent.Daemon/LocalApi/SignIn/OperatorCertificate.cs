using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using LicenseAgent.Daemon.LocalApi.Operators;

namespace LicenseAgent.Daemon.LocalApi.SignIn;

/// <summary>Who a certificate says somebody is.</summary>
/// <param name="Subject">For the audit log.</param>
/// <param name="Ends">The certificate's <c>notAfter</c>, or an authority's that ends sooner.</param>
internal sealed record OperatorIdentity(string Subject, Role Role, DateTimeOffset Ends);

/// <summary>What of an operator's certificate is read here: the role in its name, and its key.</summary>
internal static class OperatorCertificate
{
    private const string RolePrefix = "license-agent-role:";
    private const string AlternativeNamesOid = "2.5.29.17", P256Oid = "1.2.840.10045.3.1.7";

    // RFC 5280 §4.2.1.6: uniformResourceIdentifier [6].
    private static readonly Asn1Tag UriTag = new(TagClass.ContextSpecific, 6);

    /// <summary>The one role among the names; none, where there is no such name, two, or another word.</summary>
    public static Role RoleOf(X509Certificate2 certificate)
    {
        string[] words = [.. Uris(certificate).Where(uri => uri.StartsWith(RolePrefix, StringComparison.Ordinal))];
        return words is [var only] ? Roles.Parse(only[RolePrefix.Length..]) : Role.None;
    }

    /// <summary>ES256 or PS256 by the kind of the key; other curves and RSA below 2 048 bits verify nothing.</summary>
    public static bool HasSigned(X509Certificate2 certificate, ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature)
    {
        using ECDsa? ec = certificate.GetECDsaPublicKey();
        if (ec is not null)
        {
            return ec.ExportParameters(includePrivateParameters: false).Curve.Oid.Value == P256Oid
                && ec.VerifyData(
                    data, signature, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
        }
        using RSA? rsa = certificate.GetRSAPublicKey();
        return rsa is { KeySize: >= 2048 and <= 8192 }
            && rsa.VerifyData(data, signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pss);
    }

    /// <exception cref="AsnContentException">The names are not DER.</exception>
    private static List<string> Uris(X509Certificate2 certificate)
    {
        List<string> uris = [];
        if (certificate.Extensions[AlternativeNamesOid] is not { } names)
            return uris;
        AsnReader sequence = new AsnReader(names.RawData, AsnEncodingRules.DER).ReadSequence();
        while (sequence.HasData)
        {
            if (sequence.PeekTag().HasSameClassAndValue(UriTag))
                uris.Add(sequence.ReadCharacterString(UniversalTagNumber.IA5String, UriTag));
            else
                sequence.ReadEncodedValue();
        }
        return uris;
    }
}
