using System.Formats.Asn1;
using System.Numerics;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace LicenseAgent.Daemon.LocalApi.SignIn;

/// <summary>
/// A list of revoked certificates (RFC 5280 §5), read without the platform, which looks for lists elsewhere than where
/// the configuration says. Believed only after <see cref="IsSignedBy"/>.
/// </summary>
internal sealed class RevocationList
{
    private const string PemLabel = "X509 CRL";

    private const int RevokedMax = 20_000; // a file of 64 KiB holds fewer

    private readonly byte[] _signed;
    private readonly string _algorithm;
    private readonly byte[] _signature;
    private readonly byte[] _issuer;
    private readonly HashSet<BigInteger> _serials = [];

    private RevocationList(ReadOnlyMemory<byte> der)
    {
        var whole = new AsnReader(der, AsnEncodingRules.DER);
        AsnReader list = whole.ReadSequence();
        whole.ThrowIfNotEmpty();
        _signed = list.PeekEncodedValue().ToArray();
        AsnReader content = list.ReadSequence();
        ReadOnlyMemory<byte> algorithm = list.PeekEncodedValue();
        _algorithm = list.ReadSequence().ReadObjectIdentifier();
        _signature = list.ReadBitString(out int unusedBits);
        list.ThrowIfNotEmpty();
        if (content.PeekTag().HasSameClassAndValue(Asn1Tag.Integer))
            content.ReadInteger();

        // RFC 5280 §5.1.1.2: what is not signed says the same as what is.
        if (!content.ReadEncodedValue().Span.SequenceEqual(algorithm.Span) || unusedBits != 0)
            throw new CryptographicException("the list names two algorithms, or its signature is cut");
        _issuer = content.ReadEncodedValue().ToArray();
        IssuedAt = ReadTime(content);
        NextUpdate = IsTime(content) ? ReadTime(content) : null;
        if (content.HasData && content.PeekTag().HasSameClassAndValue(Asn1Tag.Sequence))
            ReadSerials(content.ReadSequence());
        if (content.HasData)
            RefuseCritical(content.ReadSequence(new Asn1Tag(TagClass.ContextSpecific, 0)).ReadSequence());
    }

    public DateTimeOffset IssuedAt { get; }

    /// <summary>When a newer one should be there; a list without it never grows old.</summary>
    public DateTimeOffset? NextUpdate { get; }

    /// <summary>Every list of a file, PEM or one in DER.</summary>
    /// <exception cref="CryptographicException">The file holds no list, or one that is not read here.</exception>
    public static IReadOnlyList<RevocationList> ReadAll(byte[] file)
    {
        try
        {
            if (file is [0x30, ..])
                return [new RevocationList(file)];
            List<RevocationList> lists = [];
            ReadOnlySpan<char> text = System.Text.Encoding.ASCII.GetString(file);
            while (PemEncoding.TryFind(text, out PemFields pem))
            {
                if (text[pem.Label].SequenceEqual(PemLabel))
                    lists.Add(new RevocationList(Convert.FromBase64String(text[pem.Base64Data].ToString())));
                text = text[pem.Location.End..];
            }
            return lists.Count > 0 ? lists : throw new CryptographicException("the file holds no X509 CRL");
        }
        catch (AsnContentException e)
        {
            throw new CryptographicException("the file is no revocation list", e);
        }
    }

    public bool IsOf(X500DistinguishedName issuer) => issuer.RawData.AsSpan().SequenceEqual(_issuer);

    public bool Revokes(X509Certificate2 certificate) => _serials.Contains(
        new BigInteger(certificate.SerialNumberBytes.Span, isUnsigned: false, isBigEndian: true));

    /// <summary>RSA with PKCS #1 or ECDSA, SHA-256 and up; what is signed otherwise is not believed.</summary>
    public bool IsSignedBy(X509Certificate2 authority)
    {
        (HashAlgorithmName Hash, bool IsRsa)? known = _algorithm switch
        {
            "1.2.840.113549.1.1.11" => (HashAlgorithmName.SHA256, true),
            "1.2.840.113549.1.1.12" => (HashAlgorithmName.SHA384, true),
            "1.2.840.113549.1.1.13" => (HashAlgorithmName.SHA512, true),
            "1.2.840.10045.4.3.2" => (HashAlgorithmName.SHA256, false),
            "1.2.840.10045.4.3.3" => (HashAlgorithmName.SHA384, false),
            "1.2.840.10045.4.3.4" => (HashAlgorithmName.SHA512, false),
            _ => null,
        };
        if (known is not { } by)
            return false;
        if (by.IsRsa)
        {
            using RSA? rsa = authority.GetRSAPublicKey();
            return rsa?.VerifyData(_signed, _signature, by.Hash, RSASignaturePadding.Pkcs1) == true;
        }
        using ECDsa? ec = authority.GetECDsaPublicKey();
        return ec?.VerifyData(_signed, _signature, by.Hash, DSASignatureFormat.Rfc3279DerSequence) == true;
    }

    private void ReadSerials(AsnReader revoked)
    {
        while (revoked.HasData)
        {
            if (_serials.Count >= RevokedMax)
                throw new CryptographicException($"the list has more than {RevokedMax} entries");
            _serials.Add(revoked.ReadSequence().ReadInteger());
        }
    }

    // RFC 5280 §5.2: a list with a critical extension one does not know may say less than it seems to: it adds to
    // another list, or is about some certificates of its issuer alone.
    private static void RefuseCritical(AsnReader extensions)
    {
        while (extensions.HasData)
        {
            AsnReader extension = extensions.ReadSequence();
            string oid = extension.ReadObjectIdentifier();
            if (extension.PeekTag().HasSameClassAndValue(Asn1Tag.Boolean) && extension.ReadBoolean())
                throw new CryptographicException($"the list is not a plain, complete one (critical extension {oid})");
        }
    }

    private static bool IsTime(AsnReader content) =>
        content.HasData && content.PeekTag() is { TagClass: TagClass.Universal, TagValue: 23 or 24 };

    private static DateTimeOffset ReadTime(AsnReader content) =>
        content.PeekTag().TagValue == (int)UniversalTagNumber.UtcTime
            ? content.ReadUtcTime()
            : content.ReadGeneralizedTime();
}
