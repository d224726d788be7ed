using System.Globalization;

namespace LicenseAgent.Chaos.Scripts;

/// <summary>One line of an experiment: a verb and its words.</summary>
internal sealed record Step(int Line, string Verb, IReadOnlyList<string> Words)
{
    public string Text => string.Join(' ', [Verb, .. Words]);

    public string Word(int index) => index < Words.Count
        ? Words[index]
        : throw new FormatException($"line {Line}: {Verb} needs {index + 1} words.");

    public int Number(int index) =>
        int.TryParse(Word(index), NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? number
            : throw new FormatException($"line {Line}: {Word(index)} is no number.");

    /// <summary>What stands behind a word, such as <c>within 20</c>.</summary>
    public int Behind(string word, int otherwise)
    {
        int at = Words.ToList().IndexOf(word);
        return at < 0 ? otherwise : Number(at + 1);
    }

    /// <summary>The word behind a word, such as <c>reason tpm_replaced</c>; null without it.</summary>
    public string? After(string word)
    {
        int at = Words.ToList().IndexOf(word);
        return at < 0 ? null : Word(at + 1);
    }
}

/// <summary>A numbered folder below <c>chaos/</c>: its README and its steps.</summary>
internal sealed record Experiment(string Folder, string Title, IReadOnlyList<Step> Steps)
{
    public const string FileName = "experiment";

    public string Name => Path.GetFileName(Folder);

    public string Number => Name[..2];

    public bool InSmoke => Steps.Any(s => s.Verb == "smoke");

    public bool IsSweep => Steps.Any(s => s.Verb == "sweep");

    public bool IsLoad => Steps.Any(s => s.Verb == "load");

    /// <summary>The number behind a step that says what the stage begins with; 0 without it.</summary>
    public int Setting(string verb) => Steps.FirstOrDefault(s => s.Verb == verb)?.Number(0) ?? 0;

    /// <exception cref="FormatException">A line no runner understands; the message names it.</exception>
    public static Experiment Read(string folder)
    {
        List<Step> steps = [];
        foreach ((int index, string line) in File.ReadAllLines(Path.Combine(folder, FileName)).Index())
        {
            string text = line.Split('#')[0].Trim();
            if (text.Length == 0)
                continue;
            string[] words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (!Verbs.All.Contains(words[0]))
                throw new FormatException($"{folder}/{FileName}:{index + 1}: there is no verb {words[0]}.");
            steps.Add(new Step(index + 1, words[0], words[1..]));
        }

        string title = File.ReadLines(Path.Combine(folder, "README.md")).First().TrimStart('#', ' ');
        return new Experiment(folder, title, steps);
    }

    public static IReadOnlyList<Experiment> ReadAll(string chaos) =>
    [
        .. Directory.GetDirectories(chaos).Where(d => char.IsAsciiDigit(Path.GetFileName(d)[0]))
            .Order(StringComparer.Ordinal).Select(Read),
    ];
}

/// <summary>What a step can say; <c>chaos/README.md</c> explains each.</summary>
internal static class Verbs
{
    public static readonly IReadOnlySet<string> All = new HashSet<string>(StringComparer.Ordinal)
    {
        "smoke", "traffic", "wait", "fault", "healed", "kill", "start", "stop", "continue", "network", "server", "bus",
        "rotate",
        "mode", "expect", "save", "restore", "replace", "power-cuts", "disk", "fill", "free", "sweep",
        "strikes", "layers", "load", "segments", "kept", "validate", "end", "tamper", "twin", "alert", "approve",
    };
}
