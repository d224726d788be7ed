using System.Globalization;
using System.Runtime.InteropServices;

namespace LicenseAgent.ContractTests.Tpm;

/// <summary>
/// Looks for bytes in this process's memory without having them there: the needle is kept, and compared, masked.
/// </summary>
internal static unsafe class ProcessMemory
{
    public const byte Mask = 0x5A;
    private const int ChunkSize = 1 << 20;

    /// <summary>Replaces bytes by their masked form, in place.</summary>
    public static void ApplyMask(Span<byte> bytes)
    {
        for (var i = 0; i < bytes.Length; i++) bytes[i] ^= Mask;
    }

    /// <summary>Addresses in writable memory where the bytes behind the masked needle stand.</summary>
    public static List<nuint> Find(ReadOnlySpan<byte> maskedNeedle)
    {
        var found = new List<nuint>();
        var chunk = (byte*)NativeMemory.AllocZeroed(ChunkSize);
        try
        {
            using var memory = File.OpenHandle("/proc/self/mem");
            foreach (var (start, end) in WritableRegions())
            {
                for (var at = start; at < end; at += (nuint)(ChunkSize - maskedNeedle.Length + 1))
                {
                    var wanted = (int)nuint.Min(ChunkSize, end - at);
                    var count = ReadOrNothing(memory, new Span<byte>(chunk, wanted), (long)at);
                    Collect(new Span<byte>(chunk, count), at, (nuint)chunk, maskedNeedle, found);
                }
            }
        }
        finally
        {
            NativeMemory.Free(chunk);
        }

        return found;
    }

    // The chunk itself holds what it was just filled with; that copy is the scan's own.
    private static void Collect(
        Span<byte> bytes, nuint at, nuint chunk, ReadOnlySpan<byte> maskedNeedle, List<nuint> found)
    {
        ApplyMask(bytes);
        for (var offset = 0; offset + maskedNeedle.Length <= bytes.Length;)
        {
            var hit = bytes[offset..].IndexOf(maskedNeedle);
            if (hit < 0) return;
            var address = at + (nuint)(offset + hit);
            if ((address < chunk || address >= chunk + ChunkSize) && !found.Contains(address)) found.Add(address);
            offset += hit + 1;
        }
    }

    // Regions come and go while other tests run, and some cannot be read (guard pages).
    private static int ReadOrNothing(SafeHandle memory, Span<byte> destination, long offset)
    {
        try
        {
            return RandomAccess.Read((Microsoft.Win32.SafeHandles.SafeFileHandle)memory, destination, offset);
        }
        catch (IOException)
        {
            return 0;
        }
    }

    private static List<(nuint Start, nuint End)> WritableRegions()
    {
        var regions = new List<(nuint, nuint)>();
        foreach (var line in File.ReadAllLines("/proc/self/maps"))
        {
            var fields = line.Split(' ', 3);
            if (!fields[1].StartsWith("rw", StringComparison.Ordinal)) continue;
            var bounds = fields[0].Split('-');
            regions.Add((Parse(bounds[0]), Parse(bounds[1])));
        }

        return regions;
    }

    private static nuint Parse(string hex) => nuint.Parse(hex, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
