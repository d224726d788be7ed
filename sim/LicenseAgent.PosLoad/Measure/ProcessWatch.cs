using System.Diagnostics;
using System.Globalization;

namespace LicenseAgent.PosLoad.Measure;

/// <summary>A process at one moment.</summary>
/// <param name="Second">From the start of the load.</param>
/// <param name="CpuPercent">Of one core, since the sample before.</param>
internal sealed record ProcessSample(
    double Second, double CpuPercent, double ResidentMib, double AnonymousMib, int Threads, int Descriptors);

/// <summary>Reads what the kernel knows of a process.</summary>
internal sealed class ProcessWatch(int id)
{
    private const double TicksPerSecond = 100;
    private long _lastTicks = -1, _lastTime;

    public int Id => id;

    /// <exception cref="IOException">The process is gone.</exception>
    public ProcessSample Sample(double second)
    {
        // After the name, which may hold anything but ends with the last ')'.
        string stat = File.ReadAllText($"/proc/{id}/stat");
        string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        long ticks = Number(fields[11]) + Number(fields[12]);
        long time = Stopwatch.GetTimestamp();
        double cpu = _lastTicks < 0
            ? 0
            : (ticks - _lastTicks) / TicksPerSecond / Stopwatch.GetElapsedTime(_lastTime, time).TotalSeconds * 100;
        (_lastTicks, _lastTime) = (ticks, time);
        Dictionary<string, string> status = File.ReadLines($"/proc/{id}/status")
            .Select(line => line.Split(':', 2)).ToDictionary(parts => parts[0], parts => parts[1].Trim());
        return new ProcessSample(
            second, cpu, Kib(status["VmRSS"]) / 1024.0, Kib(status["RssAnon"]) / 1024.0,
            (int)Number(status["Threads"]), Directory.EnumerateFileSystemEntries($"/proc/{id}/fd").Count());
    }

    private static long Kib(string value) => Number(value.Replace("kB", "", StringComparison.Ordinal));

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);
}

/// <summary>Least squares through points of a time series. The first half is left out: it is settling.</summary>
internal static class Slope
{
    private const int Tops = 6;

    /// <summary>
    /// Change an hour of what a collector cleans up: its sawtooth, here of 7 MiB, tilts a line through all points one way
    /// or the other; what leaks raises the tops. The highest of each sixth counts.
    /// </summary>
    /// <param name="points">X in seconds, rising.</param>
    public static double OfTopsPerHour(IReadOnlyList<(double X, double Y)> points)
    {
        (double X, double Y)[] settled = [.. points.Skip(points.Count / 2)];
        return settled.Length < Tops
            ? 0
            : PerHourOf([.. settled.Chunk((settled.Length + Tops - 1) / Tops).Select(part => part.MaxBy(p => p.Y))]);
    }

    /// <summary>Change of <c>Y</c> an hour; 0 with fewer than two points.</summary>
    /// <param name="points">X in seconds, rising.</param>
    public static double PerHour(IReadOnlyList<(double X, double Y)> points) =>
        PerHourOf([.. points.Skip(points.Count / 2)]);

    private static double PerHourOf((double X, double Y)[] settled)
    {
        if (settled.Length < 2)
        {
            return 0;
        }

        double meanX = settled.Average(p => p.X), meanY = settled.Average(p => p.Y);
        double across = settled.Sum(p => (p.X - meanX) * (p.X - meanX));
        return across == 0 ? 0 : settled.Sum(p => (p.X - meanX) * (p.Y - meanY)) / across * 3600;
    }
}
