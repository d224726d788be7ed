namespace LicenseAgent.Testbed.Evidence;

/// <summary>
/// One of the twelve ways to change a log of at least three files, two checkpoints and a witnessed record, as who owns the
/// disk can: with an editor, and with hashes made anew where that hides something.
/// </summary>
/// <param name="What">In words; the numbers of the unit test of the verifier are the places in <see cref="All"/>.</param>
public sealed record Tampering(string What, Func<LogCopy, long, string> Change)
{
    private const string Checkpoint = "\"event\":\"checkpoint_written\"";

    public static readonly IReadOnlyList<Tampering> All =
    [
        new("a flipped byte", (log, _) => InMiddle(log, "5: altered", lines =>
            lines[4] = lines[4].Replace("\"pid\":", "\"pid\":1", StringComparison.Ordinal))),
        new("a removed line", (log, _) => InMiddle(log, "5: missing", lines => lines.RemoveAt(4))),
        new("an added line", (log, _) => InMiddle(log, "6: out_of_order", lines => lines.Insert(5, lines[4]))),
        new("two lines swapped", (log, _) => InMiddle(log, "6: out_of_order", lines =>
            (lines[4], lines[5]) = (lines[5], lines[4]))),
        new("a block of lines moved", (log, _) => InMiddle(log, "7: out_of_order", lines =>
        {
            lines.InsertRange(8, lines[2..4]);
            lines.RemoveRange(2, 2);
        })),
        new("a file replaced by another", (log, _) => InMiddle(log, "1: out_of_order", _ =>
            log.Files[1] = (log.Files[1].Name, log.Files[0].Lines))),
        new("a missing segment", (log, _) =>
        {
            log.Files.RemoveAt(1);
            return $"{log.Files[1].Name}:1: segment_missing";
        }),
        new("a checkpoint signed by another key", (log, _) => Resign(log)),
        new("a checkpoint skipped, and hashed anew", (log, _) => Skip(log)),
        new("a cut tail", Cut),
        new("records rewritten behind the last checkpoint", Rewrite),
        new("the whole log put back to an older copy", (log, _) =>
        {
            log.Files.RemoveAt(log.Files.Count - 1);
            log.Files[^1] = ("audit.log", log.Files[^1].Lines);
            return $"audit.log:{log.Files[^1].Lines.Count}: tail_cut";
        }),
    ];

    /// <summary>Does it, and writes the files.</summary>
    /// <param name="witnessed">Number of a record that the server has countersigned.</param>
    /// <returns>What verification has to say: file, line and finding.</returns>
    public string Apply(LogCopy log, long witnessed)
    {
        string expected = Change(log, witnessed);
        log.Save();
        return expected;
    }

    private static string InMiddle(LogCopy log, string expected, Action<List<string>> change)
    {
        (string name, List<string> lines) = log.Files[1];
        change(lines);
        return $"{name}:{expected}";
    }

    private static string Resign(LogCopy log)
    {
        (int file, int line) = log.Find(Checkpoint, last: true);
        log.Files[file].Lines[line] = LogCopy.Resigned(log.Files[file].Lines[line]);
        log.HashAnewFrom(file, line);
        return $"{log.Files[file].Name}:{line + 1}: checkpoint_signature";
    }

    private static string Skip(LogCopy log)
    {
        (int file, int line) = log.Find(Checkpoint);
        log.Files[file].Lines.RemoveAt(line);
        log.HashAnewFrom(file, line);
        (file, line) = log.Find(Checkpoint);
        return $"{log.Files[file].Name}:{line + 1}: checkpoint_content";
    }

    private static string Cut(LogCopy log, long witnessed)
    {
        (int file, int line) = Witnessed(log, witnessed);
        log.Files.RemoveRange(file + 1, log.Files.Count - file - 1);
        log.Files[file].Lines.RemoveRange(line, log.Files[file].Lines.Count - line);
        return $"{log.Files[file].Name}:{line}: tail_cut";
    }

    private static string Rewrite(LogCopy log, long witnessed)
    {
        (int file, int line) = Witnessed(log, witnessed);
        log.Files[file].Lines[line] = log.Files[file].Lines[line].Replace("\"up\":", "\"up\":1", StringComparison.Ordinal);
        log.HashAnewFrom(file, line);
        return $"{log.Files[file].Name}:{line + 1}: anchor_mismatch";
    }

    private static (int File, int Line) Witnessed(LogCopy log, long seq) => log.Find($"{{\"seq\":{seq},");
}
