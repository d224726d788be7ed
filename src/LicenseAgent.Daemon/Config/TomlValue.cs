namespace LicenseAgent.Daemon.Config;

/// <summary>A value of the configuration file and the line it starts on; 0 where a variable gave it.</summary>
internal abstract record TomlValue(int Line)
{
    /// <summary>What an operator calls this kind of value.</summary>
    public abstract string Kind { get; }
}

internal sealed record TomlString(string Text, int Line) : TomlValue(Line)
{
    public override string Kind => "a string";
}

internal sealed record TomlInteger(long Number, int Line) : TomlValue(Line)
{
    public override string Kind => "an integer";

    /// <summary>TOML 1.0: decimal with a sign, <c>0x</c>, <c>0o</c>, <c>0b</c>; <c>_</c> between digits.</summary>
    public static bool TryParse(string word, out long number)
    {
        int radix = word.Length > 2 && word[0] == '0'
            ? word[1] switch { 'x' => 16, 'o' => 8, 'b' => 2, _ => 10 }
            : 10;
        bool negative = radix == 10 && word.StartsWith('-');
        string digits = radix == 10 ? word[(word[0] is '+' or '-' ? 1 : 0)..] : word[2..];
        number = 0;
        if (digits.Length == 0 || (radix == 10 && digits.Length > 1 && digits[0] == '0') || !Grouped(digits))
            return false;
        Int128 sum = 0;
        foreach (char c in digits.Where(c => c != '_'))
        {
            int digit = char.IsAsciiHexDigit(c) ? Convert.ToInt32(c.ToString(), 16) : radix;
            if (digit >= radix || sum > long.MaxValue)
                return false;
            sum = sum * radix + digit;
        }

        sum = negative ? -sum : sum;
        if (sum > long.MaxValue || sum < long.MinValue)
            return false;
        number = (long)sum;
        return true;
    }

    private static bool Grouped(string digits) =>
        digits[0] != '_' && digits[^1] != '_' && !digits.Contains("__", StringComparison.Ordinal);
}

internal sealed record TomlBoolean(bool Truth, int Line) : TomlValue(Line)
{
    public override string Kind => "a boolean";
}

internal sealed record TomlArray(IReadOnlyList<TomlValue> Items, int Line) : TomlValue(Line)
{
    public override string Kind => "an array";
}

/// <summary><c>key = value</c> under <c>[section]</c> (empty before the first table).</summary>
internal sealed record TomlEntry(string Section, string Key, TomlValue Value, int Line);

/// <summary>What could be read of a file, and everything that could not.</summary>
internal sealed record TomlDocument(
    IReadOnlyList<TomlEntry> Entries, IReadOnlyDictionary<string, int> Sections, IReadOnlyList<ConfigError> Errors);
