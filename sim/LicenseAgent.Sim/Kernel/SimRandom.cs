using System.Buffers.Binary;

namespace LicenseAgent.Sim.Kernel;

/// <summary>
/// A stream of chance of its own for each (seed, node, concern): what one concern draws never moves what another one
/// sees, so that a plan with a fault less is otherwise the same run. SplitMix64, written here because the platform's
/// generators promise no sequence.
/// </summary>
internal sealed class SimRandom(ulong state)
{
    private ulong _state = state;

    public static SimRandom Of(ulong seed, string node, string concern) =>
        new(Mix(seed ^ Mix(TextHash.Of(node) ^ Mix(TextHash.Of(concern)))));

    public ulong Next()
    {
        unchecked
        {
            _state += 0x9E3779B97F4A7C15UL;
            return Mix(_state);
        }
    }

    /// <summary>A number of [0, <paramref name="end"/>).</summary>
    public long Below(long end)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(end, 1);
        return (long)(Next() % (ulong)end);
    }

    /// <summary>A number of [<paramref name="from"/>, <paramref name="to"/>].</summary>
    public long Between(long from, long to) => from + Below(to - from + 1);

    public bool Chance(double probability) => Unit() < probability;

    /// <summary>A number of [0, 1).</summary>
    public double Unit() => (Next() >> 11) * (1.0 / (1UL << 53));

    /// <summary>Exponentially distributed around <paramref name="mean"/>, at most ten times that.</summary>
    public long Exponential(long mean) => (long)Math.Min(10.0 * mean, -Math.Log(1.0 - Unit()) * mean);

    public T Pick<T>(IReadOnlyList<T> of) => of[(int)Below(of.Count)];

    public void Fill(Span<byte> bytes)
    {
        Span<byte> block = stackalloc byte[8];
        while (bytes.Length > 0)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(block, Next());
            int count = Math.Min(8, bytes.Length);
            block[..count].CopyTo(bytes);
            bytes = bytes[count..];
        }
    }

    private static ulong Mix(ulong z)
    {
        unchecked
        {
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EBUL;
            return z ^ (z >> 31);
        }
    }
}

/// <summary>FNV-1a of a text: the same in every process, which <c>string.GetHashCode</c> is not.</summary>
internal static class TextHash
{
    public static ulong Of(string text)
    {
        ulong hash = 0xCBF29CE484222325UL;
        foreach (char c in text)
        {
            hash = unchecked((hash ^ c) * 0x100000001B3UL);
        }

        return hash;
    }
}
