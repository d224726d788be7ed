using System.Globalization;

namespace LicenseAgent.Daemon.Config;

/// <summary>
/// Raw values by key, from the file or from the environment variable that overrides it. Asking for a key is what makes
/// it known: keys of the file that nobody asked for are refused at the end. Mistakes are collected, never thrown; a
/// value that is wrong reads as absent, so that checking goes on with the default.
/// </summary>
internal sealed class ConfigValues
{
    public const string VariablePrefix = "LICENSE_AGENT__";

    private readonly TomlDocument _document;
    private readonly IReadOnlyDictionary<string, string> _environment;
    private readonly List<(string Section, string Key)> _asked = [];
    private readonly List<ConfigError> _errors;

    public ConfigValues(TomlDocument document, IReadOnlyDictionary<string, string> environment)
    {
        _document = document;
        _environment = environment;
        _errors = [.. document.Errors];
    }

    public IReadOnlyList<(string Section, string Key)> Asked => _asked;

    /// <summary>In the order of the lines; what has no line comes last.</summary>
    public IReadOnlyList<ConfigError> Errors =>
        [.. _errors.OrderBy(e => e.Line == 0 ? int.MaxValue : e.Line).ThenBy(e => e.Variable, StringComparer.Ordinal)];

    public string? Text(string section, string key)
    {
        if (Overriding(section, key) is { } text)
        {
            _asked.Add((section, key));
            return text;
        }

        return Find<TomlString>(section, key, "a string")?.Text;
    }

    public bool? Boolean(string section, string key) => Find<TomlBoolean>(section, key, "a boolean")?.Truth;

    public long? Integer(string section, string key, long min, long max)
    {
        if (Find<TomlInteger>(section, key, "an integer")?.Number is not { } number)
            return null;
        if (number >= min && number <= max)
            return number;
        Refuse(section, key, $"{key} = {number} is out of range; give {min} to {max}");
        return null;
    }

    public IReadOnlyList<string>? Texts(string section, string key, int max) =>
        Items<TomlString>(section, key, max, "strings")?.Select(item => item.Text).ToList();

    public IReadOnlyList<uint>? Ids(string section, string key, int max)
    {
        var ids = new List<uint>();
        if (Items<TomlInteger>(section, key, max, "integers") is not { } items)
            return null;
        foreach (var item in items)
        {
            // 2^32 - 1 is the kernel's "no such id", so nobody ever connects with it.
            if (item.Number is >= 0 and < uint.MaxValue)
                ids.Add((uint)item.Number);
            else
                Refuse(section, key, $"{item.Number} in {key} is no UID or GID; give 0 to {uint.MaxValue - 1}");
        }

        return ids;
    }

    public bool Given(string section, string key) =>
        Overriding(section, key) is not null || Entry(section, key) is not null;

    /// <summary>Every key that is set, with its value as text; equal texts are equal values.</summary>
    public IReadOnlyDictionary<string, string> AllGiven() => _asked.Distinct()
        .Where(asked => Given(asked.Section, asked.Key))
        .ToDictionary(
            asked => $"{asked.Section}.{asked.Key}",
            asked => Overriding(asked.Section, asked.Key) ?? Canonical(Entry(asked.Section, asked.Key)!.Value),
            StringComparer.Ordinal);

    /// <summary>Adds a mistake at the place that set the key.</summary>
    public void Refuse(string section, string key, string message)
    {
        string? variable = Overriding(section, key) is null ? null : Variable(section, key);
        int line = variable is null ? Entry(section, key)?.Line ?? 0 : 0;
        _errors.Add(new ConfigError(line, variable, message));
    }

    /// <summary>Refuses what is set and was never asked for.</summary>
    public void RefuseUnknown(UnknownKeys unknown)
    {
        foreach (var (section, line) in _document.Sections.Where(s => _asked.All(a => a.Section != s.Key)))
        {
            if (unknown.OfSection(section) is { } message)
                _errors.Add(new ConfigError(line, null, message));
        }

        foreach (var entry in _document.Entries.Where(e => !_asked.Contains((e.Section, e.Key))))
        {
            if (unknown.OfKey(entry.Section, entry.Key) is { } message)
                _errors.Add(new ConfigError(entry.Line, null, message));
        }

        var known = _asked.Select(asked => Variable(asked.Section, asked.Key)).ToHashSet(StringComparer.Ordinal);
        foreach (string name in _environment.Keys.Where(n => n.StartsWith(VariablePrefix, StringComparison.Ordinal)))
        {
            if (!known.Contains(name))
                _errors.Add(new ConfigError(0, name, unknown.OfVariable(name, known)));
        }
    }

    public static string Variable(string section, string key) =>
        $"{VariablePrefix}{section.ToUpperInvariant()}__{key.ToUpperInvariant()}";

    private List<T>? Items<T>(string section, string key, int max, string what)
        where T : TomlValue
    {
        if (Find<TomlArray>(section, key, "an array") is not { } array)
            return null;
        if (array.Items.Count > max)
            Refuse(section, key, $"{key} has {array.Items.Count} items; at most {max} are accepted");
        foreach (var item in array.Items.Where(item => item is not T))
            Refuse(section, key, $"{key} must hold {what} only, but holds {item.Kind}");
        return [.. array.Items.OfType<T>()];
    }

    private T? Find<T>(string section, string key, string kind)
        where T : TomlValue
    {
        _asked.Add((section, key));
        TomlValue? value = Entry(section, key)?.Value;
        if (Overriding(section, key) is { } text)
        {
            (value, string? wrong) = TomlReader.ReadValue(text);
            if (value is null)
                Refuse(section, key, $"{key} must be {kind} as in the file: {wrong}");
        }

        if (value is not null and not T)
            Refuse(section, key, $"{key} must be {kind}, not {value.Kind}");
        return value as T;
    }

    private static string Canonical(TomlValue value) => value switch
    {
        TomlString text => $"\"{text.Text}\"",
        TomlInteger number => number.Number.ToString(CultureInfo.InvariantCulture),
        TomlBoolean truth => truth.Truth ? "true" : "false",
        TomlArray array => $"[{string.Join(", ", array.Items.Select(Canonical))}]",
        _ => throw new Core.InvariantBroken($"{value.Kind} is no value."),
    };

    private TomlEntry? Entry(string section, string key) =>
        _document.Entries.FirstOrDefault(entry => entry.Section == section && entry.Key == key);

    private string? Overriding(string section, string key) =>
        _environment.GetValueOrDefault(Variable(section, key));
}
