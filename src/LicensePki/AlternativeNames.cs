using System.Formats.Asn1;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace LicensePki;

/// <summary>Kinds of subject alternative names that this PKI writes; everything else reads as <see
/// cref="Other"/>.</summary>
public enum NameKind
{
    Dns,
    Address,
    Uri,
    Other,
}

/// <summary>One entry of a SubjectAltName extension (RFC 5280 §4.2.1.6).</summary>
public readonly record struct AlternativeName(NameKind Kind, string Value);

/// <summary>
/// Reads and writes SubjectAltName. The BCL's own reader shows DNS names and addresses only; an agent's identity is a
/// URI, and a name that cannot be read must not pass for one that is not there.
/// </summary>
public static class AlternativeNames
{
    private const string SubjectAltNameOid = "2.5.29.17";
    private const string AgentPrefix = "license-agent:";
    private const int TagDns = 2;
    private const int TagUri = 6;
    private const int TagAddress = 7;

    /// <summary>The URI that names an agent in its certificate.</summary>
    public static string AgentUri(string agentId) => AgentPrefix + agentId;

    /// <summary>The agent that a certificate names, or null when its names are anything but exactly one agent
    /// URI.</summary>
    public static string? AgentIdOf(X509Certificate2 certificate)
    {
        var names = Read(certificate.Extensions);
        if (names.Count != 1 || names[0].Kind != NameKind.Uri) return null;
        var uri = names[0].Value;
        return uri.StartsWith(AgentPrefix, StringComparison.Ordinal) ? uri[AgentPrefix.Length..] : null;
    }

    /// <summary>All names of all SubjectAltName extensions; empty when there is none.</summary>
    /// <exception cref="PkiException">The extension is not well-formed.</exception>
    public static IReadOnlyList<AlternativeName> Read(IEnumerable<X509Extension> extensions)
    {
        var names = new List<AlternativeName>();
        foreach (var extension in extensions)
        {
            if (extension.Oid?.Value == SubjectAltNameOid) ReadInto(names, extension.RawData);
        }

        return names;
    }

    internal static X509Extension ForAgent(string agentId)
    {
        var builder = new SubjectAlternativeNameBuilder();
        builder.AddUri(new Uri(AgentUri(agentId)));
        return builder.Build();
    }

    /// <summary>Each name is an IP address when it parses as one, else a DNS name.</summary>
    internal static X509Extension ForServer(IReadOnlyList<string> names)
    {
        var builder = new SubjectAlternativeNameBuilder();
        foreach (var name in names)
        {
            if (IPAddress.TryParse(name, out var address)) builder.AddIpAddress(address);
            else builder.AddDnsName(name);
        }

        return builder.Build();
    }

    private static void ReadInto(List<AlternativeName> names, byte[] der)
    {
        try
        {
            var reader = new AsnReader(der, AsnEncodingRules.DER);
            var sequence = reader.ReadSequence();
            reader.ThrowIfNotEmpty();
            while (sequence.HasData) names.Add(ReadOne(sequence));
        }
        catch (Exception error) when (error is AsnContentException or CryptographicException)
        {
            throw new PkiException("the certificate's subject alternative names are not well-formed", error);
        }
    }

    private static AlternativeName ReadOne(AsnReader sequence)
    {
        var tag = sequence.PeekTag();
        if (tag.TagClass == TagClass.ContextSpecific && tag.TagValue is TagDns or TagUri)
        {
            var text = sequence.ReadCharacterString(UniversalTagNumber.IA5String, tag);
            return new AlternativeName(tag.TagValue == TagDns ? NameKind.Dns : NameKind.Uri, text);
        }

        if (tag.TagClass == TagClass.ContextSpecific && tag.TagValue == TagAddress)
        {
            var bytes = sequence.ReadOctetString(tag);
            if (bytes.Length is 4 or 16) return new AlternativeName(NameKind.Address, new IPAddress(bytes).ToString());
            return new AlternativeName(NameKind.Other, Convert.ToHexStringLower(bytes));
        }

        return new AlternativeName(NameKind.Other, Convert.ToHexStringLower(sequence.ReadEncodedValue().Span));
    }
}
