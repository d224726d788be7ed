using System.Globalization;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Keysets;

namespace LicenseAgent.Cli.Doctor;

/// <summary>Where the agent's things are.</summary>
internal sealed record AgentPaths(string State, string Logs, string AdminSocket)
{
    public string PosSocket => Path.Combine(Path.GetDirectoryName(AdminSocket) ?? "/", "pos.sock");
}

/// <summary>What can be seen of the machine from outside the agent, whether or not it runs.</summary>
internal static class MachineChecks
{
    private const long DiskWarningBytes = 256L << 20;
    private const long DiskErrorBytes = 32L << 20;

    private const UnixFileMode OfOthers = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead
        | UnixFileMode.OtherWrite;

    private const UnixFileMode WritableByOthers = UnixFileMode.GroupWrite | UnixFileMode.OtherWrite;

    public static IEnumerable<Check> Of(AgentPaths paths)
    {
        yield return Socket("admin_socket", paths.AdminSocket);
        yield return Socket("pos_socket", paths.PosSocket);
        yield return Folder("state_permissions", paths.State, OfOthers, "--state");
        if (Directory.Exists(paths.State))
        {
            yield return StateFiles(paths.State);
            if (Pins(Path.Combine(paths.State, "keysets.json")) is { } pins)
                yield return pins;
            yield return Disk("state_disk", paths.State);
        }

        yield return Folder("log_permissions", paths.Logs, WritableByOthers, "--logs");
        if (Directory.Exists(paths.Logs))
            yield return Disk("log_disk", paths.Logs);
        yield return Swap(File.Exists("/proc/swaps") ? File.ReadAllLines("/proc/swaps") : []);
    }

    /// <summary>Of the running daemon, by what the kernel says of it.</summary>
    public static IEnumerable<Check> OfProcess(string? status, string? limits)
    {
        if (status is null || limits is null)
            yield break;
        bool locked = Kilobytes(status, "VmLck:") > 0;
        yield return locked
            ? new Check("memory_locking", Level.Ok, "The agent holds locked memory.")
            : new Check(
                "memory_locking", Level.Error, "The agent has no locked memory: secrets could be swapped out.",
                "Raise LimitMEMLOCK of the unit to at least 1M and restart the agent.");
        string[]? core = limits.Split('\n')
            .FirstOrDefault(line => line.StartsWith("Max core", StringComparison.Ordinal))
            ?.Split("  ", StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        yield return core is [_, "0", ..]
            ? new Check("core_dumps", Level.Ok, "The agent writes no core dumps.")
            : new Check(
                "core_dumps", Level.Warning,
                "The agent's limit allows core dumps; pages with secrets are left out of them.",
                "Set LimitCORE=0 in its unit.");
    }

    public static Check Swap(IReadOnlyList<string> lines) => lines.Count <= 1
        ? new Check("swap", Level.Ok, "No swap is in use.")
        : new Check(
            "swap", Level.Warning,
            $"Swap is on ({lines[1].Split(' ')[0]}). Secrets are locked in memory; tokens are not.",
            "Encrypt it, or turn it off: swapoff -a.");

    public static Check Unreachable(string message) =>
        new("agent", Level.Error, message, "systemctl start license-agent; journalctl -u license-agent says why not.");

    private static Check Socket(string id, string path)
    {
        if (!File.Exists(path))
            return new Check(id, Level.Error, $"{path} is not there.", "Start the agent, or give --socket PATH.");
        UnixFileMode folder = new DirectoryInfo(Path.GetDirectoryName(path)!).UnixFileMode;
        return (folder & WritableByOthers) == 0
            ? new Check(id, Level.Ok, $"{path} is there.")
            : new Check(
                id, Level.Error, $"Others may write to {Path.GetDirectoryName(path)}: they could put a socket there.",
                $"chmod 0755 {Path.GetDirectoryName(path)}");
    }

    private static Check Folder(string id, string path, UnixFileMode refused, string option)
    {
        if (!Directory.Exists(path))
            return new Check(id, Level.Error, $"{path} is not there.", $"Start the agent once, or give {option} DIR.");
        UnixFileMode mode = new DirectoryInfo(path).UnixFileMode;
        return (mode & refused) == 0
            ? new Check(id, Level.Ok, $"{path} has mode {Octal(mode)}.")
            : new Check(
                id, Level.Error, $"{path} has mode {Octal(mode)}: others may read or write there.",
                $"chmod {Octal(mode & ~refused)} {path}");
    }

    private static Check StateFiles(string path)
    {
        try
        {
            string[] open =
            [
                .. new DirectoryInfo(path).EnumerateFiles("*", SearchOption.AllDirectories)
                    .Where(file => file.Name != "metrics.prom" && (file.UnixFileMode & OfOthers) != 0)
                    .Select(file => file.FullName).Order(StringComparer.Ordinal),
            ];
            return open.Length == 0
                ? new Check("state_files", Level.Ok, $"The files in {path} are the agent's alone.")
                : new Check(
                    "state_files", Level.Error, $"Others may read or write {string.Join(", ", open.Take(4))}.",
                    "chmod 600 them; if in doubt who read them, have the operator rotate and enrol anew.");
        }
        catch (UnauthorizedAccessException)
        {
            return new Check(
                "state_files", Level.Ok, $"The files in {path} cannot be listed by this user, as it should be.");
        }
    }

    /// <summary>Null where this user cannot read the file, or there is none yet.</summary>
    private static Check? Pins(string file)
    {
        try
        {
            IReadOnlyList<string> pins = KeysetChain.Read(File.ReadAllBytes(file))[^1].Keyset.Pins;
            return new Check(
                "pins", pins.Count > 0 ? Level.Ok : Level.Warning,
                $"Accepted server keys in the keyset: {pins.Count}; server.cert_pins adds to them.",
                pins.Count > 0 ? null : "Without one the server is reached by the configured pins alone.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
        catch (Exception e) when (e is ProtocolException or ArgumentOutOfRangeException)
        {
            return new Check(
                "pins", Level.Error, $"{file} is damaged: the keys of the server cannot be read.",
                "Restart the agent where the server can be reached: it fetches the file anew.");
        }
    }

    private static Check Disk(string id, string path)
    {
        long free = new DriveInfo(path).AvailableFreeSpace;
        string amount = string.Create(CultureInfo.InvariantCulture, $"{free >> 20} MiB");
        return free switch
        {
            < DiskErrorBytes => new Check(
                id, Level.Error, $"{amount} are free below {path}.", "Make room: without it secrets do not change."),
            < DiskWarningBytes => new Check(id, Level.Warning, $"{amount} are free below {path}.", "Make room soon."),
            _ => new Check(id, Level.Ok, $"{amount} are free below {path}."),
        };
    }

    private static long Kilobytes(string status, string name)
    {
        string? line = status.Split('\n').FirstOrDefault(l => l.StartsWith(name, StringComparison.Ordinal));
        string? digits = line?[name.Length..].Trim().Split(' ')[0];
        bool isNumber = long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out long kilobytes);
        return isNumber ? kilobytes : 0;
    }

    private static string Octal(UnixFileMode mode) => "0" + Convert.ToString((int)mode, 8);
}
