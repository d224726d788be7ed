using System.Globalization;
using Microsoft.Win32.SafeHandles;

namespace LicenseAgent.IntegrationTests.Memory;

/// <summary>Bytes that must not stand in a process's memory, in one form.</summary>
internal sealed record Needle(string Name, byte[] Bytes);

/// <summary>Where a needle was found.</summary>
/// <param name="Mapping">The line of /proc/PID/maps.</param>
internal sealed record Sighting(string Needle, ulong Address, string Mapping);

/// <summary>What a scan saw.</summary>
/// <param name="Bytes">Read and searched.</param>
/// <param name="LockedBytes">Of these, in mlocked mappings.</param>
/// <param name="UsedLockedBytes">Of the locked ones, those that are not zero.</param>
internal sealed record Scan(IReadOnlyList<Sighting> Found, long Bytes, long LockedBytes, long UsedLockedBytes);

/// <summary>
/// The whole readable memory of another process, through /proc/PID/mem: code, heaps, stacks, locked pages. The process
/// is stopped by whoever calls, or it may copy behind the scan's back.
/// </summary>
internal static class ProcessImage
{
    private const int ChunkBytes = 4 << 20;

    public static Scan Search(int pid, IReadOnlyList<Needle> needles)
    {
        int overlap = needles.Max(n => n.Bytes.Length) - 1;
        List<Sighting> found = [];
        long bytes = 0, locked = 0, used = 0;
        byte[] chunk = new byte[ChunkBytes];
        using SafeFileHandle memory = File.OpenHandle($"/proc/{pid}/mem");
        foreach (Mapping mapping in Mappings(pid))
        {
            for (ulong at = mapping.Start; at < mapping.End;)
            {
                int wanted = (int)Math.Min(ChunkBytes, mapping.End - at);
                int count = ReadOrNothing(memory, chunk.AsSpan(0, wanted), (long)at);
                Collect(chunk.AsSpan(0, count), at, mapping, needles, found);
                bytes += count;
                locked += mapping.Locked ? count : 0;
                used += mapping.Locked ? count - chunk.AsSpan(0, count).Count((byte)0) : 0;
                at += (ulong)(wanted < ChunkBytes ? wanted : wanted - overlap);
            }
        }

        return new Scan([.. found.Distinct()], bytes, locked, used);
    }

    private static void Collect(
        ReadOnlySpan<byte> bytes, ulong at, Mapping mapping, IReadOnlyList<Needle> needles, List<Sighting> found)
    {
        foreach (Needle needle in needles)
        {
            for (int offset = 0, hit; (hit = bytes[offset..].IndexOf(needle.Bytes)) >= 0; offset += hit + 1)
                found.Add(new Sighting(needle.Name, at + (ulong)(offset + hit), mapping.Line));
        }
    }

    // Reserved address space without pages, and the kernel's own [vvar], cannot be read: nothing can stand there.
    private static int ReadOrNothing(SafeFileHandle memory, Span<byte> into, long offset)
    {
        try
        {
            return RandomAccess.Read(memory, into, offset);
        }
        catch (IOException)
        {
            return 0;
        }
    }

    private static List<Mapping> Mappings(int pid)
    {
        List<Mapping> mappings = [];
        foreach (string line in File.ReadAllLines($"/proc/{pid}/smaps"))
        {
            if (line.StartsWith("VmFlags:", StringComparison.Ordinal))
                mappings[^1] = mappings[^1] with { Locked = line.Split(' ').Contains("lo") };
            else if (char.IsAsciiHexDigitLower(line[0]))
                mappings.Add(Read(line));
        }

        return [.. mappings.Where(m => m.Readable)];
    }

    private static Mapping Read(string line)
    {
        string[] fields = line.Split(' ', 3);
        string[] bounds = fields[0].Split('-');
        return new Mapping(Hex(bounds[0]), Hex(bounds[1]), fields[1][0] == 'r', Locked: false, line);
    }

    private static ulong Hex(string text) => ulong.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private sealed record Mapping(ulong Start, ulong End, bool Readable, bool Locked, string Line);
}
