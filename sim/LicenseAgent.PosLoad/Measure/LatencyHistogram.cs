using System.Numerics;

namespace LicenseAgent.PosLoad.Measure;

/// <summary>
/// Times in microseconds, log-linear in the manner of HdrHistogram: 64 buckets to a power of two, so that a value read
/// back is at most 1.6 % above the one recorded; below 64 µs it is exact. Up to 2^26 µs (67 s); longer counts as that.
/// Not safe for several threads.
/// </summary>
internal sealed class LatencyHistogram
{
    private const int SubBits = 6, SubCount = 1 << SubBits, TopBit = 26;
    private const int Buckets = (TopBit - SubBits + 2) * SubCount;
    private const long Largest = (1L << TopBit) - 1;

    private readonly long[] _counts = new long[Buckets];

    public long Count { get; private set; }

    /// <summary>Largest value recorded, as its bucket tells it.</summary>
    public long Max { get; private set; }

    public void Record(long microseconds, long times = 1)
    {
        long value = Math.Clamp(microseconds, 0, Largest);
        _counts[BucketOf(value)] += times;
        Count += times;
        Max = Math.Max(Max, value);
    }

    public void Add(LatencyHistogram other)
    {
        for (int i = 0; i < Buckets; i++)
        {
            _counts[i] += other._counts[i];
        }

        Count += other.Count;
        Max = Math.Max(Max, other.Max);
    }

    public void Clear()
    {
        Array.Clear(_counts);
        (Count, Max) = (0, 0);
    }

    /// <summary>The smallest value that at least this share of all values does not exceed; 0 when empty.</summary>
    /// <param name="share">0 … 1.</param>
    public long Quantile(double share)
    {
        long wanted = Math.Max(1, (long)Math.Ceiling(share * Count));
        long seen = 0;
        for (int i = 0; i < Buckets; i++)
        {
            seen += _counts[i];
            if (seen >= wanted)
            {
                return Math.Min(HighestOf(i), Max);
            }
        }

        return 0;
    }

    /// <summary>The buckets in use, as pairs of their number and their count: what workers send.</summary>
    public long[][] Sparse() =>
        [.. Enumerable.Range(0, Buckets).Where(i => _counts[i] != 0).Select(i => new[] { i, _counts[i] })];

    /// <summary>The reverse of <see cref="Sparse"/>.</summary>
    /// <exception cref="FormatException">Not what <see cref="Sparse"/> gives.</exception>
    public static LatencyHistogram FromSparse(long[][] pairs)
    {
        LatencyHistogram made = new();
        foreach (long[] pair in pairs)
        {
            if (pair is not [>= 0 and < Buckets and var bucket, > 0 and var count])
            {
                throw new FormatException("A histogram is pairs of a bucket and a count above 0.");
            }

            made.Record(HighestOf((int)bucket), count);
        }

        return made;
    }

    private static int BucketOf(long value)
    {
        if (value < SubCount)
        {
            return (int)value;
        }

        int shift = BitOperations.Log2((ulong)value) - SubBits;
        return ((shift + 1) * SubCount) + (int)((value >> shift) - SubCount);
    }

    private static long HighestOf(int bucket)
    {
        if (bucket < SubCount)
        {
            return bucket;
        }

        int shift = (bucket / SubCount) - 1;
        long first = (long)(SubCount + (bucket % SubCount)) << shift;
        return first + (1L << shift) - 1;
    }
}
