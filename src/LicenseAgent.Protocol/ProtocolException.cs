namespace LicenseAgent.Protocol;

/// <summary>
/// Bytes that do not keep the protocol. The one exception of this library for what others sent; it never carries
/// the offending value, so it can be logged.
/// </summary>
public sealed class ProtocolException : Exception
{
    /// <summary>Makes an exception of a code and, where one is known, the member at fault.</summary>
    public ProtocolException(string code, string? member = null, Exception? inner = null)
        : base(member is null ? code : $"{code} at {member}", inner)
    {
        Code = code;
        Member = member;
    }

    /// <summary>What is wrong, as a stable word such as <c>json_duplicate</c>.</summary>
    public string Code { get; }

    /// <summary>Where, as a JSON pointer (RFC 6901), or null when it is the whole or unknown.</summary>
    public string? Member { get; }
}
