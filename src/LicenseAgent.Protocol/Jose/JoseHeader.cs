using System.Buffers;
using System.Collections.Frozen;
using System.Text.Json;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Jose;

/// <summary>
/// One of the few protected headers that exist here: a fixed set of members with fixed values, and a <c>kid</c>.
/// Nothing in a header ever selects an algorithm; a header is compared, not interpreted.
/// </summary>
internal sealed class JoseHeader
{
    private const int MaxBytes = 512;
    private const int KidMaxLength = 128;

    private static readonly SearchValues<byte> KidBytes =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.#"u8);

    private static readonly FrozenDictionary<string, JoseHeader> SignedTypes = new[]
    {
        JoseTypes.LicenseJwt, JoseTypes.AgentRequest, JoseTypes.ServerResponse, JoseTypes.Keyset,
        JoseTypes.AuditCheckpoint,
    }.ToFrozenDictionary(typ => typ, typ => new JoseHeader(("alg", "ES256"), ("kid", null), ("typ", typ)));

    // A null value stands for the kid.
    private readonly (byte[] Name, byte[]? Value)[] members;
    private readonly string beforeKid;
    private readonly string afterKid;

    private JoseHeader(params (string Name, string? Value)[] members)
    {
        this.members = [.. members.Select(m => (Utf8(m.Name), m.Value is null ? null : Utf8(m.Value)))];
        string json = string.Join(',', members.Select(m => $"\"{m.Name}\":\"{m.Value ?? "\n"}\""));
        string[] text = $"{{{json}}}".Split('\n');
        (beforeKid, afterKid) = (text[0], text[1]);
    }

    /// <summary>Outer header of a license token.</summary>
    public static JoseHeader License { get; } = new(
        ("alg", "dir"), ("enc", "A256GCM"), ("kid", null), ("cty", "JWT"), ("typ", JoseTypes.LicenseJwe));

    /// <summary>Header of an encrypted secret.</summary>
    public static JoseHeader Secret { get; } = new(
        ("alg", "RSA-OAEP-256"), ("enc", "A256GCM"), ("kid", null), ("typ", JoseTypes.SecretJwe));

    /// <summary>The header of a signed type.</summary>
    public static JoseHeader Signed(string typ) => SignedTypes.TryGetValue(typ, out JoseHeader? header)
        ? header
        : throw new ArgumentException($"No signed object has the type {typ}.", nameof(typ));

    /// <summary>The header's base64url text, members in the order of the specification.</summary>
    public string Encode(string kid)
    {
        if (kid.Length is 0 or > KidMaxLength || Utf8(kid).AsSpan().ContainsAnyExcept(KidBytes))
            throw new ProtocolException("jose_kid");
        return Base64UrlText.Encode(Utf8(beforeKid + kid + afterKid));
    }

    /// <summary>Whether the text is this header, members in any order, none more, none twice; gives its kid.</summary>
    public bool TryRead(ReadOnlySpan<byte> encoded, out string kid)
    {
        kid = "";
        Span<byte> json = stackalloc byte[MaxBytes];
        if (!Base64UrlText.TryDecode(encoded, json, out int length))
            return false;
        try
        {
            return TryReadMembers(json[..length], out kid);
        }
        catch (JsonException)
        {
            // Not JSON: the same answer as any other header that is not this one.
            return false;
        }
    }

    private bool TryReadMembers(ReadOnlySpan<byte> json, out string kid)
    {
        kid = "";
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 1 });
        int seen = 0;
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            return false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            int member = IndexOf(reader.ValueSpan);
            if (member < 0 || (seen & (1 << member)) != 0)
                return false;
            seen |= 1 << member;

            // Escapes are compared as they stand: no writer needs one in these texts.
            if (!reader.Read() || reader.TokenType != JsonTokenType.String || !Matches(member, reader.ValueSpan))
                return false;
            if (members[member].Value is null)
                kid = System.Text.Encoding.ASCII.GetString(reader.ValueSpan);
        }
        return seen == (1 << members.Length) - 1 && !reader.Read();
    }

    private bool Matches(int member, ReadOnlySpan<byte> value) => members[member].Value is { } pinned
        ? value.SequenceEqual(pinned)
        : value.Length is > 0 and <= KidMaxLength && !value.ContainsAnyExcept(KidBytes);

    private int IndexOf(ReadOnlySpan<byte> name)
    {
        for (int i = 0; i < members.Length; i++)
        {
            if (name.SequenceEqual(members[i].Name))
                return i;
        }
        return -1;
    }

    private static byte[] Utf8(string text) => System.Text.Encoding.UTF8.GetBytes(text);
}
