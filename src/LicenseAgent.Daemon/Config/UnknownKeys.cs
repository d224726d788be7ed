namespace LicenseAgent.Daemon.Config;

/// <summary>
/// Says what is wrong with a key nobody reads: that it belongs elsewhere, what it was probably meant to be, or that it
/// asks for something this program cannot do. Ignoring it would leave an operator believing in a protection that is not
/// there.
/// </summary>
internal sealed class UnknownKeys(IReadOnlyList<(string Section, string Key)> known)
{
    public string OfSection(string section)
    {
        string nearest = Nearest(section, known.Select(k => k.Section));
        return $"unknown table [{section}]" + (nearest == "" ? "; remove it" : $"; did you mean [{nearest}]?");
    }

    /// <returns><see langword="null"/> where the section is refused as a whole.</returns>
    public string? OfKey(string section, string key)
    {
        if (section == "tpm" && key == "pcrs")
        {
            return "tpm.pcrs is not available: with the distribution's TPM library a key under a PCR policy and an "
                + "encrypted session gives wrong results (tpm2-tss issue 2574); remove the line";
        }

        if (section == "")
            return $"\"{key}\" stands before the first table; put it under its [table]";
        var ofSection = known.Where(k => k.Section == section).Select(k => k.Key).ToList();
        if (ofSection.Count == 0)
            return null;
        if (Nearest(key, ofSection) is { Length: > 0 } nearest)
            return $"unknown key \"{key}\" in [{section}]; did you mean \"{nearest}\"?";
        string[] homes = [.. known.Where(k => k.Key == key).Select(k => $"[{k.Section}]").Distinct()];
        return $"unknown key \"{key}\" in [{section}]"
            + (homes.Length > 0 ? $"; it belongs under {string.Join(" or ", homes)}" : "; remove it");
    }

    public string OfVariable(string name, IEnumerable<string> knownVariables)
    {
        string nearest = Nearest(name, knownVariables);
        return "no such setting; variables are named LICENSE_AGENT__SECTION__KEY"
            + (nearest == "" ? "" : $", did you mean {nearest}?");
    }

    private static string Nearest(string word, IEnumerable<string> candidates)
    {
        var (best, distance) = candidates.Distinct()
            .Select(candidate => (candidate, Distance(word, candidate)))
            .DefaultIfEmpty(("", int.MaxValue))
            .MinBy(pair => pair.Item2);
        // A third of the letters wrong is still a typing mistake; more is another word.
        return distance <= Math.Max(1, word.Length / 3) ? best : "";
    }

    // Levenshtein's edit distance, one row at a time.
    private static int Distance(string a, string b)
    {
        int[] row = [.. Enumerable.Range(0, b.Length + 1)];
        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replaced, Math.Min(row[j], row[j - 1]) + 1);
            }
        }

        return row[^1];
    }
}
