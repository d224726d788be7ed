namespace LicenseAgent.Protocol.Encoding;

/// <summary>
/// The name of an agent: <c>^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$</c>, a DNS label, so that it can stand in URIs, file
/// names and a <c>kid</c> without escaping.
/// </summary>
public static class AgentId
{
    /// <summary>Longest agent id, in characters.</summary>
    public const int MaxLength = 63;

    /// <summary>Whether the text is an agent id.</summary>
    public static bool IsValid(string? text) => text is not null && IsValid(text.AsSpan());

    /// <inheritdoc cref="IsValid(string?)"/>
    public static bool IsValid(ReadOnlySpan<char> text)
    {
        if (text.Length is 0 or > MaxLength || text[0] == '-' || text[^1] == '-')
            return false;
        foreach (char c in text)
        {
            if (c is not ((>= 'a' and <= 'z') or (>= '0' and <= '9') or '-'))
                return false;
        }
        return true;
    }
}
