namespace LicenseAgent.Protocol.Tokens;

/// <summary>
/// The public parts of a license token, found without any cryptography; the spans are slices of the token given to
/// <see cref="LicenseToken.TryParseShape"/>.
/// </summary>
public readonly ref struct LicenseTokenShape
{
    /// <summary>Parts found elsewhere; <see cref="LicenseToken.TryOpen"/> judges them.</summary>
    public LicenseTokenShape(
        string kid, string agentId, long version, ReadOnlySpan<byte> aad, ReadOnlySpan<byte> ivText,
        ReadOnlySpan<byte> ciphertextText, ReadOnlySpan<byte> tagText)
    {
        Kid = kid;
        AgentId = agentId;
        Version = version;
        Aad = aad;
        IvText = ivText;
        CiphertextText = ciphertextText;
        TagText = tagText;
    }

    /// <summary><c>&lt;agent_id&gt;.v&lt;version&gt;</c>: the one key that may open the token.</summary>
    public string Kid { get; }

    /// <summary>The agent in the <c>kid</c>.</summary>
    public string AgentId { get; }

    /// <summary>The version in the <c>kid</c>.</summary>
    public long Version { get; }

    /// <summary>The additional authenticated data: the header as it stands in the token (RFC 7516 §5.2).</summary>
    public ReadOnlySpan<byte> Aad { get; }

    /// <summary>The nonce of 12 bytes, as 16 characters of base64url.</summary>
    public ReadOnlySpan<byte> IvText { get; }

    /// <summary>The ciphertext, as base64url.</summary>
    public ReadOnlySpan<byte> CiphertextText { get; }

    /// <summary>The tag of 16 bytes, as 22 characters of base64url.</summary>
    public ReadOnlySpan<byte> TagText { get; }
}
