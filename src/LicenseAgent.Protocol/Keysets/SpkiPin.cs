using System.Security.Cryptography.X509Certificates;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Keysets;

/// <summary>
/// A certificate pin: SHA-256 of the leaf's SubjectPublicKeyInfo (DER), written <c>sha256:</c> and padded standard
/// base64.
/// </summary>
public readonly record struct SpkiPin(Digest32 Digest)
{
    /// <summary>Length of the text, in characters.</summary>
    public const int TextLength = 51;

    private const string Prefix = "sha256:";

    /// <summary>The pin of a SubjectPublicKeyInfo in DER.</summary>
    public static SpkiPin Of(ReadOnlySpan<byte> spkiDer) => new(Digest32.Sha256(spkiDer));

    /// <summary>The pin of a certificate.</summary>
    public static SpkiPin Of(X509Certificate2 certificate) => Of(certificate.PublicKey.ExportSubjectPublicKeyInfo());

    /// <summary>Reads the 51-character text; any other text of the same bytes is refused.</summary>
    public static bool TryParse(string? text, out SpkiPin pin)
    {
        pin = default;
        Span<byte> bytes = stackalloc byte[Digest32.Length];
        if (text is not { Length: TextLength } || !text.StartsWith(Prefix, StringComparison.Ordinal)
            || !Convert.TryFromBase64String(text[Prefix.Length..], bytes, out int written) || written != bytes.Length)
        {
            return false;
        }
        pin = new SpkiPin(Digest32.From(bytes));
        return pin.ToString() == text;
    }

    /// <summary>Reads a text that was checked before.</summary>
    /// <exception cref="ProtocolException"><c>pin</c>.</exception>
    public static SpkiPin Parse(string text) =>
        TryParse(text, out SpkiPin pin) ? pin : throw new ProtocolException("pin");

    /// <summary>Whether the certificate has this key.</summary>
    public bool Matches(X509Certificate2 certificate) => Of(certificate) == this;

    /// <summary>The 51-character text.</summary>
    public override string ToString()
    {
        Span<byte> bytes = stackalloc byte[Digest32.Length];
        Digest.CopyTo(bytes);
        return Prefix + Convert.ToBase64String(bytes);
    }
}
