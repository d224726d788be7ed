using System.Globalization;

namespace LicenseAgent.PosLoad.Measure;

/// <summary>
/// Why requests failed, and how often. At most <see cref="KindsMax"/> different reasons; further ones count as
/// <see cref="Other"/>. Not safe for several threads.
/// </summary>
internal sealed class Reasons
{
    public const int KindsMax = 32;
    public const string Other = "other reasons";

    private const int LengthMax = 200;

    private readonly Dictionary<string, long> _counts = new(StringComparer.Ordinal);

    public IReadOnlyDictionary<string, long> Counts => _counts;

    public void Add(string reason, long times = 1)
    {
        string kept = reason.Length > LengthMax ? reason[..LengthMax] : reason;
        string key = _counts.ContainsKey(kept) || _counts.Count < KindsMax ? kept : Other;
        _counts[key] = _counts.GetValueOrDefault(key) + times;
    }

    public void Add(IEnumerable<KeyValuePair<string, long>> others)
    {
        foreach ((string reason, long times) in others)
        {
            Add(reason, times);
        }
    }

    /// <summary>The most frequent ones, for people.</summary>
    public IReadOnlyList<string> Top(int count) =>
    [
        .. _counts.OrderByDescending(r => r.Value).ThenBy(r => r.Key, StringComparer.Ordinal).Take(count)
            .Select(r => string.Create(CultureInfo.InvariantCulture, $"{r.Value:N0} x {r.Key}")),
    ];
}
