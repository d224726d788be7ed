using System.Text.RegularExpressions;

namespace LicenseAgent.UnitTests.Tidy;

/// <summary>A type or a member of one, by the lines it stands on, attributes and comments before it left out.</summary>
/// <param name="Kind">class, struct, interface, enum, record, delegate; or method, property, field.</param>
/// <param name="Type">The type it is a member of; empty for what stands in a namespace.</param>
internal sealed record Declaration(string Kind, string Name, string Type, int FirstLine, int LastLine)
{
    public int Lines => LastLine - FirstLine + 1;
}

/// <summary>
/// Finds types and members by their braces. It knows as much C# as the tidy rules need: where a declaration begins, what
/// its head says, where its body ends. What stands inside a member belongs to it, lambdas and local functions included.
/// </summary>
internal sealed partial class CodeScan
{
    private readonly string _code;
    private readonly List<Declaration> _found = [];
    private int _at;

    private CodeScan(string code) => _code = code;

    public static IReadOnlyList<Declaration> Of(string text)
    {
        CodeScan scan = new(CodeMask.Of(text));
        scan.ReadScope("");
        return scan._found;
    }

    private void ReadScope(string type)
    {
        int start = _at;
        while (_at < _code.Length)
        {
            char c = _code[_at];
            if (c == '}')
            {
                _at++;
                return;
            }

            if (c is '{' or ';')
            {
                ReadDeclaration(start, type);
                start = _at;
                continue;
            }

            _at = c is '(' or '[' ? EndOfGroup(_at) : _at + 1;
        }
    }

    /// <summary>From the brace or semicolon behind a head to the end of what it declares.</summary>
    private void ReadDeclaration(int start, string type)
    {
        int begin = SkipAttributes(start);
        string head = _code[begin.._at].TrimEnd();
        if (head.StartsWith("namespace", StringComparison.Ordinal) && _code[_at] == '{')
        {
            _at++;
            ReadScope("");
            return;
        }

        if (TypeHead().Match(head) is { Success: true } found)
        {
            ReadType(found, begin, type);
            return;
        }

        bool hasExpression = head.Contains("=>", StringComparison.Ordinal);
        bool isField = FieldHead().IsMatch(head)
            || (_code[_at] == ';' && !hasExpression && !MethodHead().IsMatch(head));
        SkipBody(endsWithSemicolon: isField || hasExpression);
        if (type.Length > 0)
        {
            AddMember(head, isField, type, begin);
        }
    }

    private void AddMember(string head, bool isField, string type, int begin)
    {
        if (isField)
        {
            if (ValueHead().Match(head) is { Success: true } field)
            {
                Add("field", field.Groups["name"].Value, type, begin);
            }

            return;
        }

        string declared = head.Split("=>")[0].TrimEnd();
        if (MethodHead().Match(declared) is { Success: true } method)
        {
            Add("method", method.Groups["name"].Value, type, begin);
        }
        else if (ValueHead().Match(declared) is { Success: true } property)
        {
            Add("property", property.Groups["name"].Value, type, begin);
        }
    }

    private void ReadType(Match found, int begin, string outer)
    {
        string kind = found.Groups["kind"].Value, name = found.Groups["name"].Value;
        bool hasMembers = _code[_at] == '{' && kind != "enum";
        if (hasMembers)
        {
            _at++;
            ReadScope(name);
        }
        else
        {
            SkipBody(endsWithSemicolon: false);
        }

        Add(kind, name, outer, begin);
    }

    /// <summary>A body in braces, or everything up to the semicolon that ends an initializer or an expression.</summary>
    private void SkipBody(bool endsWithSemicolon)
    {
        while (_at < _code.Length)
        {
            char c = _code[_at];
            _at = c is '{' or '(' or '[' ? EndOfGroup(_at) : _at + 1;
            if (c == ';' || (c == '{' && !endsWithSemicolon))
            {
                return;
            }
        }
    }

    private int EndOfGroup(int at)
    {
        int depth = 0;
        for (; at < _code.Length; at++)
        {
            depth += _code[at] switch { '(' or '[' or '{' => 1, ')' or ']' or '}' => -1, _ => 0 };
            if (depth == 0)
            {
                return at + 1;
            }
        }

        return at;
    }

    private int SkipAttributes(int at)
    {
        while (at < _at && (char.IsWhiteSpace(_code[at]) || _code[at] == '['))
        {
            at = _code[at] == '[' ? EndOfGroup(at) : at + 1;
        }

        return at;
    }

    private void Add(string kind, string name, string type, int begin) =>
        _found.Add(new Declaration(kind, name, type, LineOf(begin), LineOf(_at - 1)));

    private int LineOf(int at) => _code.AsSpan(0, at).Count('\n') + 1;

    [GeneratedRegex(
        @"^(?:(?:public|internal|private|protected|static|sealed|abstract|readonly|partial|ref|file|unsafe|new)\s+)*"
        + @"(?:(?<kind>class|struct|interface|enum|record)\s+(?:(?:class|struct)\s+)?(?<name>\w+)"
        + @"|(?<kind>delegate)\s.*?\b(?<name>\w+)\s*(?:<[^()]*>)?\s*\()",
        RegexOptions.Singleline)]
    private static partial Regex TypeHead();

    // An assignment before any parameter list; the type before it may be a tuple.
    [GeneratedRegex(@"^[^(=]*(?:\([^)]*\)\??\s+\w+\s*)?=(?![=>])")]
    private static partial Regex FieldHead();

    // The first word before a parenthesis that is no modifier before a tuple.
    [GeneratedRegex(
        @"^(?:[^(=]|\([^()]*\))*?\b(?!(?:public|internal|private|protected|static|async|override|virtual|abstract|"
        + @"sealed|readonly|new|unsafe|extern|partial|required)\b)(?<name>operator\s*[^\w\s(]{1,3}|\w+)"
        + @"\s*(?:<[^()]*?>)?\s*\(",
        RegexOptions.Singleline)]
    private static partial Regex MethodHead();

    [GeneratedRegex(@"^[^=]*?\b(?:(?<name>this)\s*\[|(?<name>\w+)\s*(?:=|$))", RegexOptions.Singleline)]
    private static partial Regex ValueHead();
}
