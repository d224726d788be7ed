using System.Globalization;

namespace LicenseAgent.Daemon.Adapters.Hardening;

/// <summary>
/// What the kernel itself says of a range of this process's memory (proc_pid_smaps(5)): flags as they hold, not as they
/// were asked for.
/// </summary>
internal sealed record MappedRegion(IReadOnlySet<string> Flags, bool GuardBefore, bool GuardAfter)
{
    private const string FlagsLine = "VmFlags:";

    /// <returns>Null when no mapping has exactly these bounds.</returns>
    public static MappedRegion? Find(nuint start, nuint end, IEnumerable<string> smaps)
    {
        HashSet<string>? flags = null;
        bool before = false, after = false, inside = false;
        foreach (string line in smaps)
        {
            if (TryReadBounds(line, out nuint from, out nuint to, out bool noAccess))
            {
                inside = from == start && to == end;
                before |= to == start && noAccess;
                after |= from == end && noAccess;
                if (from >= end)
                    break;
            }
            else if (inside && line.StartsWith(FlagsLine, StringComparison.Ordinal))
            {
                flags = [.. line[FlagsLine.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries)];
            }
        }

        return flags is null ? null : new MappedRegion(flags, before, after);
    }

    // "7f1c8a000000-7f1c8a021000 rw-p 00000000 00:00 0"; every other line has a capital letter first.
    private static bool TryReadBounds(string line, out nuint from, out nuint to, out bool noAccess)
    {
        (from, to, noAccess) = (0, 0, false);
        int dash = line.IndexOf('-', StringComparison.Ordinal), blank = line.IndexOf(' ', StringComparison.Ordinal);
        if (dash <= 0 || blank < dash || !TryHex(line.AsSpan(0, dash), out from)
            || !TryHex(line.AsSpan(dash + 1, blank - dash - 1), out to))
        {
            return false;
        }

        noAccess = line.AsSpan(blank + 1).StartsWith("---", StringComparison.Ordinal);
        return true;
    }

    private static bool TryHex(ReadOnlySpan<char> text, out nuint value) =>
        nuint.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
}
