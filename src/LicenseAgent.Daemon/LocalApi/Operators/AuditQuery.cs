using System.Globalization;

namespace LicenseAgent.Daemon.LocalApi.Operators;

/// <summary>The query of <c>GET /v1/audit</c>: each of its two names at most once, no others.</summary>
internal readonly record struct AuditQuery(long After, int Limit)
{
    // A thousand records are about half a megabyte.
    private const int LimitDefault = 100, LimitMax = 1000;

    public static string Form { get; } = $"The query is ?after=SEQ&limit=N with N from 1 to {LimitMax}.";

    public static bool TryParse(string query, out AuditQuery parsed)
    {
        long? after = null, limit = null;
        bool good = true;
        foreach (string part in query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            good &= part.Split('=') switch
            {
                ["after", var text] => TryNumber(text, ref after),
                ["limit", var text] => TryNumber(text, ref limit),
                _ => false,
            };
        }
        good &= limit is null or (>= 1 and <= LimitMax);
        parsed = good ? new AuditQuery(after ?? 0, (int)(limit ?? LimitDefault)) : default;
        return good;
    }

    private static bool TryNumber(string text, ref long? number)
    {
        if (number is not null || !long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long value))
            return false;
        number = value;
        return true;
    }
}
