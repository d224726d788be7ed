using System.Globalization;

namespace LicenseAgent.Protocol.Encoding;

/// <summary>
/// The key id of a secret: <c>&lt;agent_id&gt;.v&lt;version&gt;</c>. It names exactly one key; a token's key is
/// chosen by it and never by trying.
/// </summary>
public static class SecretKid
{
    /// <summary>The largest version, 2^53 − 1: the largest integer that every JSON reader keeps exact.</summary>
    public const long MaxVersion = (1L << 53) - 1;

    /// <summary>Longest key id, in characters: agent id, ".v", 16 digits.</summary>
    public const int MaxLength = AgentId.MaxLength + 2 + 16;

    /// <summary>The key id of an agent's version.</summary>
    /// <exception cref="ProtocolException"><c>kid</c>: not an agent id, or a version out of range.</exception>
    public static string Format(string agentId, long version)
    {
        if (!AgentId.IsValid(agentId) || version is < 1 or > MaxVersion)
            throw new ProtocolException("kid");
        return string.Create(CultureInfo.InvariantCulture, $"{agentId}.v{version}");
    }

    /// <summary>Splits a key id at its last dot; false unless it is exactly what <see cref="Format"/> gives.</summary>
    public static bool TryParse(ReadOnlySpan<char> kid, out string agentId, out long version)
    {
        agentId = "";
        if (!TrySplit(kid, out ReadOnlySpan<char> agent, out version))
            return false;
        agentId = agent.ToString();
        return true;
    }

    /// <inheritdoc cref="TryParse(ReadOnlySpan{char}, out string, out long)"/>
    public static bool TryParse(string? kid, out string agentId, out long version) =>
        TryParse(kid.AsSpan(), out agentId, out version);

    /// <summary>The same without allocation; <paramref name="agentId"/> is a slice of <paramref name="kid"/>.</summary>
    public static bool TrySplit(ReadOnlySpan<char> kid, out ReadOnlySpan<char> agentId, out long version)
    {
        agentId = default;
        version = 0;
        int dot = kid.LastIndexOf('.');
        if (dot < 1 || kid.Length > MaxLength || !AgentId.IsValid(kid[..dot]))
            return false;
        ReadOnlySpan<char> tail = kid[(dot + 1)..];
        if (tail.Length is < 2 or > 17 || tail[0] != 'v' || tail[1] is < '1' or > '9')
            return false;
        long number = 0;
        foreach (char c in tail[1..])
        {
            if (c is < '0' or > '9')
                return false;
            number = (number * 10) + (c - '0');
        }
        if (number > MaxVersion)
            return false;
        agentId = kid[..dot];
        version = number;
        return true;
    }
}
