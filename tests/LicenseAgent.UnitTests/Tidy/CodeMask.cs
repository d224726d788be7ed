namespace LicenseAgent.UnitTests.Tidy;

/// <summary>
/// C# text with everything blanked that is not code: comments, preprocessor lines, the content of strings and
/// characters, interpolations included. Every other character keeps its place, and so do line ends, so that braces and
/// words can be looked for without meeting one that is only talked about.
/// </summary>
internal sealed class CodeMask
{
    private readonly string _text;
    private readonly char[] _masked;
    private int _at;

    private CodeMask(string text) => (_text, _masked) = (text, text.ToCharArray());

    public static string Of(string text)
    {
        CodeMask mask = new(text);
        mask.SkipCode(closingBraces: 0);
        return new string(mask._masked);
    }

    /// <summary>Walks code to the end, or to the <paramref name="closingBraces"/> that end an interpolation.</summary>
    private void SkipCode(int closingBraces)
    {
        int depth = 0;
        while (_at < _text.Length)
        {
            if (closingBraces > 0 && depth == 0 && Run('}') >= closingBraces)
            {
                return;
            }

            depth += _text[_at] switch { '{' => 1, '}' => -1, _ => 0 };
            if (!TrySkipText())
            {
                _at++;
            }
        }
    }

    private bool TrySkipText()
    {
        if (Is("//") || IsPreprocessor())
        {
            BlankTo(_text.IndexOf('\n', _at));
            return true;
        }

        if (Is("/*"))
        {
            BlankTo(_text.IndexOf("*/", _at, StringComparison.Ordinal) + 2);
            return true;
        }

        if (_text[_at] == '\'')
        {
            SkipQuoted('\'', verbatim: false, holes: 0);
            return true;
        }

        int quote = _at;
        while (quote < _text.Length && _text[quote] is '$' or '@')
        {
            quote++;
        }

        if (quote >= _text.Length || _text[quote] != '"')
        {
            return false;
        }

        string prefix = _text[_at..quote];
        _at = quote;
        SkipString(prefix);
        return true;
    }

    private void SkipString(string prefix)
    {
        int holes = prefix.Count(c => c == '$');
        int quotes = Run('"');
        if (quotes < 3 || prefix.Contains('@', StringComparison.Ordinal))
        {
            SkipQuoted('"', prefix.Contains('@', StringComparison.Ordinal), holes);
            return;
        }

        _at += quotes;
        while (_at < _text.Length && Run('"') < quotes)
        {
            SkipOneOf(holes, raw: true);
        }

        _at += Run('"');
    }

    private void SkipQuoted(char quote, bool verbatim, int holes)
    {
        _at++;
        while (_at < _text.Length)
        {
            if (_text[_at] == quote && !(verbatim && Run(quote) > 1))
            {
                _at++;
                return;
            }

            if (verbatim ? _text[_at] == quote : _text[_at] == '\\')
            {
                Blank();
                Blank();
                continue;
            }

            SkipOneOf(holes, raw: false);
        }
    }

    /// <summary>One character of a string, or a whole hole with the code in it.</summary>
    private void SkipOneOf(int holes, bool raw)
    {
        int braces = holes > 0 ? Run('{') : 0;
        if (!raw && braces > 1)
        {
            Blank();
            Blank();
            return;
        }

        if (braces == 0 || braces < holes)
        {
            Blank();
            return;
        }

        int begin = _at;
        _at += braces;
        SkipCode(raw ? holes : 1);
        _at = Math.Min(_at + (raw ? holes : 1), _text.Length);
        int end = _at;
        _at = begin;
        BlankTo(end);
    }

    private bool IsPreprocessor()
    {
        if (_text[_at] != '#')
        {
            return false;
        }

        int lineStart = _at == 0 ? 0 : _text.LastIndexOf('\n', _at - 1) + 1;
        return string.IsNullOrWhiteSpace(_text[lineStart.._at]);
    }

    private bool Is(string what) => string.CompareOrdinal(_text, _at, what, 0, what.Length) == 0;

    /// <summary>How often a character stands here in a row.</summary>
    private int Run(char c)
    {
        int end = _at;
        while (end < _text.Length && _text[end] == c)
        {
            end++;
        }

        return end - _at;
    }

    private void BlankTo(int end)
    {
        int stop = end < _at ? _text.Length : end;
        while (_at < stop)
        {
            Blank();
        }
    }

    private void Blank()
    {
        if (_at < _text.Length && _masked[_at] is not ('\n' or '\r'))
        {
            _masked[_at] = ' ';
        }

        _at++;
    }
}
