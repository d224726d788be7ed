using System.Text.Json;

namespace LicenseAgent.Protocol.Json;

/// <summary>
/// The names seen so far in each open object. Small objects are compared byte by byte without allocating; from 24 names
/// on, or when a name is written with escapes, an object gets a hash set, so that a long object costs linear time.
/// </summary>
internal ref struct MemberNames(ReadOnlySpan<byte> utf8, Span<(int Start, int Length)> ranges, Span<int> counts)
{
    /// <summary>How many ranges the caller provides; one count per level besides.</summary>
    public const int Slots = StrictJson.MaxDepth * LinearMax;

    private const int LinearMax = 24;

    private readonly ReadOnlySpan<byte> utf8 = utf8;
    private readonly Span<(int Start, int Length)> ranges = ranges;
    private readonly Span<int> counts = counts;
    private HashSet<string>?[]? sets;

    public readonly void Open(int depth)
    {
        counts[depth] = 0;
        if (sets is not null)
            sets[depth] = null;
    }

    /// <summary>Adds the name the reader stands on; false if the object has it already.</summary>
    public bool Add(in Utf8JsonReader reader)
    {
        int level = reader.CurrentDepth - 1;
        Span<(int Start, int Length)> seen = ranges.Slice(level * LinearMax, counts[level]);
        if (sets?[level] is null && (seen.Length == LinearMax || reader.ValueIsEscaped))
            UseSet(level, seen);
        if (sets?[level] is { } set)
            return set.Add(reader.GetString()!);
        foreach ((int start, int length) in seen)
        {
            if (utf8.Slice(start, length).SequenceEqual(reader.ValueSpan))
                return false;
        }
        ranges[(level * LinearMax) + counts[level]++] = ((int)reader.TokenStartIndex + 1, reader.ValueSpan.Length);
        return true;
    }

    private void UseSet(int level, ReadOnlySpan<(int Start, int Length)> seen)
    {
        var set = new HashSet<string>(StringComparer.Ordinal);
        foreach ((int start, int length) in seen)
            set.Add(System.Text.Encoding.UTF8.GetString(utf8.Slice(start, length)));
        sets ??= new HashSet<string>?[StrictJson.MaxDepth];
        sets[level] = set;
    }
}
