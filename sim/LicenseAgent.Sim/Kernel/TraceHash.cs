namespace LicenseAgent.Sim.Kernel;

/// <summary>
/// A rolling hash over what happened, in order: times, nodes and logical events, never ciphertext or signatures, which
/// are random by nature. Two runs of a plan must have the same marks; the first mark that differs says where.
/// </summary>
internal sealed class TraceHash
{
    /// <summary>A mark is kept this often.</summary>
    public const int MarkEvery = 1_000;

    private readonly List<ulong> _marks = [];
    private int _sinceMark;

    public ulong Value { get; private set; } = 0x9E3779B97F4A7C15UL;

    public long Events { get; private set; }

    /// <summary>The value after each thousand events.</summary>
    public IReadOnlyList<ulong> Marks => _marks;

    public void Add(long number)
    {
        unchecked
        {
            ulong z = (Value ^ (ulong)number) * 0xBF58476D1CE4E5B9UL;
            Value = z ^ (z >> 29);
        }

        Events++;
        if (++_sinceMark == MarkEvery)
        {
            _sinceMark = 0;
            _marks.Add(Value);
        }
    }

    public void Add(string text) => Add(unchecked((long)TextHash.Of(text)));

    /// <summary>The first thousand of events in which two runs differ; <see langword="null"/>: in none.</summary>
    public static int? FirstDifference(TraceHash one, TraceHash other)
    {
        for (int i = 0; i < Math.Min(one.Marks.Count, other.Marks.Count); i++)
        {
            if (one.Marks[i] != other.Marks[i])
            {
                return i;
            }
        }

        return one.Value == other.Value && one.Events == other.Events
            ? null
            : Math.Min(one.Marks.Count, other.Marks.Count);
    }
}
