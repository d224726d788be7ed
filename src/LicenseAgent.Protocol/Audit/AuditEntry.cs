using System.Collections;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Protocol.Audit;

/// <summary>What a record says; the chain adds number, times and hashes.</summary>
/// <param name="Event">Past tense, <c>a-z 0-9 _</c>, at most 64 characters.</param>
/// <param name="Op">
/// Request id or generation; <see langword="null"/> where there is none. Records of equal event, op and outcome tell of
/// one thing, written again after a crash.
/// </param>
public sealed record AuditEntry(
    string Event, string? Op, AuditActor Actor, AuditOutcome Outcome, AuditDetails Details)
{
    /// <summary>The event's name.</summary>
    public string Event { get; } = AuditDetails.RequireName(Event);
}

/// <summary>A validation, the one entry written thousands of times a second.</summary>
/// <param name="Token">The token's tag; never the token, which whoever reads the log could use.</param>
/// <param name="LicenseId">Known after a verified signature.</param>
/// <param name="Reason">The answer's reason; but for <c>VALID</c> the outcome is <c>refused</c>.</param>
public readonly record struct AuditedValidation(
    uint Uid, uint Gid, int Pid, Nonce16 Nonce, TokenTag Token, string Reason, string? LicenseId, long? SecretVersion);

/// <summary>Members of <c>details</c>, in the order they were added; at most 12, each name once.</summary>
public sealed class AuditDetails : IEnumerable<KeyValuePair<string, AuditValue>>
{
    /// <summary>Most members.</summary>
    public const int MaxMembers = 12;

    private readonly List<KeyValuePair<string, AuditValue>> members = [];

    /// <summary>No members. Do not add to it.</summary>
    public static AuditDetails None { get; } = [];

    /// <summary>Number of members.</summary>
    public int Count => members.Count;

    /// <summary>Adds a member. A text of more than 1 000 bytes as written is cut and ends in <c>…</c>.</summary>
    public void Add(string name, AuditValue value)
    {
        RequireName(name);
        if (ReferenceEquals(this, None) || members.Count == MaxMembers || members.Exists(m => m.Key == name))
            throw new ArgumentException($"No more members can be called {name}.", nameof(name));
        members.Add(new(name, value));
    }

    /// <inheritdoc/>
    public IEnumerator<KeyValuePair<string, AuditValue>> GetEnumerator() => members.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    internal static string RequireName(string name)
    {
        bool good = name.Length is > 0 and <= 64;
        foreach (char c in name)
            good &= c is (>= 'a' and <= 'z') or (>= '0' and <= '9') or '_';
        return good ? name : throw new ArgumentException("Names are a-z, 0-9 and _, at most 64.", nameof(name));
    }
}

/// <summary>A value in <c>details</c>: text, integer, boolean or null.</summary>
public readonly record struct AuditValue
{
    private AuditValue(string? text, long? number, bool? flag) => (Text, Number, Flag) = (text, number, flag);

    internal string? Text { get; }

    internal long? Number { get; }

    internal bool? Flag { get; }

    /// <summary>
    /// The value of an object: text, integer, boolean, time, digest or null; anything else is written as its text.
    /// </summary>
    public static AuditValue Of(object? value) => value switch
    {
        null => (string?)null,
        bool flag => flag,
        UtcTime time => time,
        Digest32 digest => digest,
        long or int or uint or short or ushort or byte =>
            Convert.ToInt64(value, System.Globalization.CultureInfo.InvariantCulture),
        IFormattable text => text.ToString(null, System.Globalization.CultureInfo.InvariantCulture),
        _ => value.ToString(),
    };

    /// <summary>A text or null.</summary>
    public static implicit operator AuditValue(string? text) => new(text, null, null);

    /// <summary>An integer or null.</summary>
    public static implicit operator AuditValue(long? number) => new(null, number, null);

    /// <summary>An integer.</summary>
    public static implicit operator AuditValue(long number) => new(null, number, null);

    /// <summary>A boolean.</summary>
    public static implicit operator AuditValue(bool flag) => new(null, null, flag);

    /// <summary>A time, as text.</summary>
    public static implicit operator AuditValue(UtcTime time) => new(time.ToString(), null, null);

    /// <summary>A digest, as text.</summary>
    public static implicit operator AuditValue(Digest32 digest) => new(digest.ToString(), null, null);
}
