using System.Globalization;
using System.Text;

namespace LicenseAgent.Daemon.Config;

/// <summary>
/// Reads the part of TOML 1.0 that the configuration uses: tables, basic and literal strings, integers, booleans,
/// arrays and comments. Every other construct of TOML is refused by name, so that a file never means something else
/// here than to another reader. Reading goes on after a mistake with the next statement: an operator sees all at once.
/// </summary>
internal sealed class TomlReader
{
    // A configuration with every key and comment has 6 KiB; what is ten times that is another file.
    public const int MaxBytes = 64 * 1024;
    private const int MaxArrayItems = 256;
    private const int MaxErrors = 100;

    private static readonly UTF8Encoding StrictUtf8 = new(false, throwOnInvalidBytes: true);

    private readonly string _text;
    private readonly List<TomlEntry> _entries = [];
    private readonly List<ConfigError> _errors = [];
    private readonly Dictionary<string, int> _sections = new(StringComparer.Ordinal);
    private readonly Dictionary<(string Section, string Key), int> _keys = [];
    private string? _section = ""; // null below a broken header: whose keys these are is unknown
    private int _at;
    private int _line = 1;
    private bool _insideArray;

    private TomlReader(string text) => _text = text;

    private char Current => _at < _text.Length ? _text[_at] : '\0';

    private bool AtEnd => _at >= _text.Length;

    private bool AtLineEnd => AtEnd || Current == '\n' || (Current == '\r' && Peek(1) == '\n');

    public static TomlDocument Read(ReadOnlySpan<byte> file)
    {
        if (file.Length > MaxBytes)
            return Refused(0, $"the file has {file.Length} bytes; at most {MaxBytes} are read");
        if (file.StartsWith("\uFEFF"u8))
            return Refused(1, "the file starts with a byte order mark; save it as UTF-8 without one");
        try
        {
            var reader = new TomlReader(StrictUtf8.GetString(file));
            reader.ReadStatements();
            return new TomlDocument(reader._entries, reader._sections, reader._errors);
        }
        catch (DecoderFallbackException error)
        {
            int line = 1 + file[..Math.Max(0, error.Index)].Count((byte)'\n');
            return Refused(line, "the line is not UTF-8; save the file as UTF-8");
        }
    }

    /// <summary>One value that makes up the whole of <paramref name="text"/>.</summary>
    /// <returns>The value, or <see langword="null"/> and what is wrong with it.</returns>
    public static (TomlValue? Value, string? Wrong) ReadValue(string text)
    {
        var reader = new TomlReader(text);
        try
        {
            reader.SkipBlanks();
            var value = reader.ReadAnyValue() with { Line = 0 };
            reader.SkipBlanks();
            return reader.AtEnd ? (value, null) : (null, "there is more after the value");
        }
        catch (TomlSyntaxException error)
        {
            return (null, error.Message);
        }
    }

    private static TomlDocument Refused(int line, string message) =>
        new([], new Dictionary<string, int>(), [new ConfigError(line, null, message)]);

    private void ReadStatements()
    {
        while (!AtEnd && _errors.Count < MaxErrors)
        {
            try
            {
                ReadStatement();
            }
            catch (TomlSyntaxException error)
            {
                _errors.Add(new ConfigError(error.Line, null, error.Message));
                SkipToNextStatement();
            }
        }
    }

    private void ReadStatement()
    {
        SkipBlanks();
        if (Current == '[')
            ReadTableHeader();
        else if (!AtLineEnd && Current != '#')
            ReadKeyValue();
        SkipBlanks();
        SkipComment();
        if (!AtLineEnd)
            throw Wrong($"\"{Current}\" is not expected here; one statement a line");
        SkipLineEnd();
    }

    private void ReadTableHeader()
    {
        _at++;
        _section = null;
        if (Current == '[')
            throw Wrong("arrays of tables ([[...]]) are not supported");
        SkipBlanks();
        string name = ReadBareKey("a table name");
        SkipBlanks();
        if (Current == '.')
            throw Wrong("nested tables ([a.b]) are not supported");
        _section = name;
        if (Current != ']')
            throw Wrong($"the table header [{name} is not closed by \"]\"");
        _at++;
        if (!_sections.TryAdd(name, _line))
            throw Wrong($"the table [{name}] is already on line {_sections[name]}; put its keys together");
    }

    private void ReadKeyValue()
    {
        int line = _line;
        string key = ReadBareKey("a key");
        SkipBlanks();
        if (Current == '.')
            throw Wrong("dotted keys (a.b = ...) are not supported; use a [table]");
        if (Current != '=')
            throw Wrong($"\"=\" is missing after \"{key}\"");
        _at++;
        SkipBlanks();
        var value = ReadAnyValue();
        if (_section is null)
            return;
        if (!_keys.TryAdd((_section, key), line))
            throw Wrong($"\"{key}\" is already on line {_keys[(_section, key)]}; keep one of them");
        _entries.Add(new TomlEntry(_section, key, value, line));
    }

    private string ReadBareKey(string what)
    {
        if (Current is '"' or '\'')
            throw Wrong("quoted keys are not supported; no key needs quotes");
        int start = _at;
        while (char.IsAsciiLetterOrDigit(Current) || Current is '_' or '-')
            _at++;
        return _at > start ? _text[start.._at] : throw Wrong($"{what} is expected: letters, digits, \"_\" and \"-\"");
    }

    private TomlValue ReadAnyValue() => Current switch
    {
        '"' => ReadBasicString(),
        '\'' => ReadLiteralString(),
        '[' => ReadArray(),
        '{' => throw Wrong("inline tables ({...}) are not supported; use a [table]"),
        _ => ReadWord(),
    };

    private TomlArray ReadArray()
    {
        if (_insideArray)
            throw Wrong("an array inside an array is not supported");
        int line = _line;
        var items = new List<TomlValue>();
        _insideArray = true;
        _at++;
        SkipBlankLines();
        while (Current != ']')
        {
            if (AtEnd)
                throw Wrong($"the array of line {line} is not closed by \"]\"");
            if (items.Count == MaxArrayItems)
                throw Wrong($"the array of line {line} has more than {MaxArrayItems} items");
            items.Add(ReadAnyValue());
            SkipBlankLines();
            if (Current == ',')
                _at++;
            else if (Current != ']')
                throw Wrong($"\",\" or \"]\" is missing in the array of line {line}");
            SkipBlankLines();
        }

        _at++;
        _insideArray = false;
        return new TomlArray(items, line);
    }

    private TomlString ReadLiteralString()
    {
        RefuseMultiLine("'''");
        int start = ++_at;
        while (Current != '\'')
            StepInString();
        return new TomlString(_text[start.._at++], _line);
    }

    private TomlString ReadBasicString()
    {
        RefuseMultiLine("\"\"\"");
        _at++;
        var text = new StringBuilder();
        while (Current != '"')
        {
            if (Current == '\\')
            {
                text.Append(ReadEscape());
            }
            else
            {
                text.Append(Current);
                StepInString();
            }
        }

        _at++;
        return new TomlString(text.ToString(), _line);
    }

    private void RefuseMultiLine(string quotes)
    {
        if (_text.AsSpan(_at).StartsWith(quotes, StringComparison.Ordinal))
            throw Wrong($"multi-line strings ({quotes}) are not supported");
    }

    private void StepInString()
    {
        if (AtLineEnd)
            throw Wrong("the string is not closed on its line");
        RefuseControl();
        _at++;
    }

    private string ReadEscape()
    {
        char kind = Peek(1);
        _at += 2;
        return kind switch
        {
            'b' => "\b",
            't' => "\t",
            'n' => "\n",
            'f' => "\f",
            'r' => "\r",
            '"' => "\"",
            '\\' => "\\",
            'u' => ReadCodePoint(4),
            'U' => ReadCodePoint(8),
            _ => throw Wrong("unknown escape in a string; write \"\\\\\" for a backslash, or use '...'"),
        };
    }

    private string ReadCodePoint(int digits)
    {
        var hex = _text.AsSpan(_at, Math.Min(digits, _text.Length - _at));
        if (hex.Length < digits || !uint.TryParse(hex, NumberStyles.AllowHexSpecifier, null, out uint code)
            || !Rune.IsValid(code))
        {
            throw Wrong($"an escape of {digits} hexadecimal digits that name a character is expected");
        }

        _at += digits;
        return new Rune(code).ToString();
    }

    // Booleans, integers, and what only looks like them: floats and dates get an answer of their own.
    private TomlValue ReadWord()
    {
        int start = _at;
        while (char.IsAsciiLetterOrDigit(Current) || Current is '_' or '-' or '+' or '.' or ':')
            _at++;
        string word = _text[start.._at];
        return word switch
        {
            "" => throw Wrong("a value is missing"),
            "true" => new TomlBoolean(true, _line),
            "false" => new TomlBoolean(false, _line),
            _ => new TomlInteger(ReadInteger(word), _line),
        };
    }

    private long ReadInteger(string word)
    {
        if (TomlInteger.TryParse(word, out long number))
            return number;
        string bare = word.TrimStart('+', '-');
        bool numeric = char.IsAsciiDigit(bare.FirstOrDefault());
        if (numeric && (bare.Contains(':') || bare.Count(c => c == '-') >= 2))
            throw Wrong($"dates and times ({word}) are not supported");
        if (bare is "inf" or "nan" || (numeric && (bare.Contains('.') || IsExponent(bare))))
            throw Wrong($"floating-point numbers ({word}) are not supported; whole numbers only");
        throw Wrong(numeric
            ? $"{word} is not an integer of TOML within 64 bits (no leading zero, \"_\" only between digits)"
            : $"{word} is not a value; put text into quotes");
    }

    private static bool IsExponent(string word) =>
        !word.StartsWith("0x", StringComparison.Ordinal) && word.AsSpan().IndexOfAny('e', 'E') >= 0;

    private char Peek(int ahead) => _at + ahead < _text.Length ? _text[_at + ahead] : '\0';

    private void SkipBlanks()
    {
        while (Current is ' ' or '\t')
            _at++;
    }

    private void SkipBlankLines()
    {
        SkipBlanks();
        SkipComment();
        while (!AtEnd && AtLineEnd)
        {
            SkipLineEnd();
            SkipBlanks();
            SkipComment();
        }
    }

    private void SkipComment()
    {
        if (Current != '#')
            return;
        while (!AtLineEnd)
        {
            RefuseControl();
            _at++;
        }
    }

    private void RefuseControl()
    {
        if (char.IsControl(Current) && Current is not ('\t' or (>= '\u0080' and <= '\u009F')))
            throw Wrong($"control character U+{(int)Current:X4} is not allowed");
    }

    private void SkipLineEnd()
    {
        if (AtEnd)
            return;
        _at += Current == '\r' ? 2 : 1;
        _line++;
    }

    // After a mistake inside an array the rest of the array is no statement: lines that cannot begin one are skipped.
    private void SkipToNextStatement()
    {
        bool wasInArray = _insideArray;
        _insideArray = false;
        do
        {
            while (!AtEnd && Current != '\n')
                _at++;
            SkipLineEnd();
            SkipBlanks();
        }
        while (wasInArray && !AtEnd && !char.IsAsciiLetter(Current) && Current != '[');
    }

    private TomlSyntaxException Wrong(string message) => new(_line, message);

    /// <summary>Unwinds to the statement loop; never leaves this class.</summary>
    private sealed class TomlSyntaxException(int line, string message) : Exception(message)
    {
        public int Line { get; } = line;
    }
}
