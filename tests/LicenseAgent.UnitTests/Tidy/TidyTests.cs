using System.Text.RegularExpressions;
using Xunit;

namespace LicenseAgent.UnitTests.Tidy;

/// <summary>How the code is written, as far as a program can see it. A finding names file and line.</summary>
public sealed partial class TidyTests
{
    private const int FileLinesMax = 400, MethodLinesMax = 70, LineMax = 120, ProgramLinesMax = 60, InterfaceMembersMax = 5;

    // Interfaces with more, and why.
    private static readonly Dictionary<string, string> MembersAllowed = new()
    {
        ["IAuditFile"] = "reads and writes of one file; halves of it would be two ports onto one disk",
    };

    private static readonly IReadOnlyList<SourceFile> Sources =
    [
        .. SourceTree.Files(".cs", "src", "sim", "tests", "chaos").Select(path => new SourceFile(path)),
    ];

    [Fact]
    public void No_file_is_longer_than_400_lines() =>
        Found(Sources.Where(f => f.Lines.Length > FileLinesMax).Select(f => $"{f.Path}: {f.Lines.Length} lines"));

    [Fact]
    public void No_method_is_longer_than_70_lines() => Found(
        from file in Sources
        from member in file.Declarations
        where member.Kind is "method" or "property" && member.Lines > MethodLinesMax
        select $"{file.Path}:{member.FirstLine}: {member.Name} has {member.Lines} lines");

    [Fact]
    public void No_line_of_the_product_is_longer_than_120_characters() => Found(
        from file in Sources
        where file.IsProduct
        from line in file.Lines.Index()
        where line.Item.Length > LineMax
        select $"{file.Path}:{line.Index + 1}: {line.Item.Length} characters");

    [Fact]
    public void No_type_is_named_by_what_any_type_is() => Found(
        from file in Sources
        from type in file.Declarations
        where type.Kind is not ("method" or "property" or "field") && BannedSuffix().IsMatch(type.Name)
        select $"{file.Path}:{type.FirstLine}: {type.Name}; name what it is or does");

    [Fact]
    public void Every_exception_is_still_needed() => Found(
        MembersAllowed.Keys.Where(name => !Sources.Any(f => f.Declarations.Any(d => d.Name == name)))
            .Select(name => $"{name} is allowed and not there"));

    [Fact]
    public void An_interface_has_one_to_five_members() => Found(
        from file in Sources
        from type in file.Declarations
        where type.Kind == "interface"
        let members = file.Declarations.Count(d => d.Type == type.Name)
        where members is 0 or > InterfaceMembersMax && !MembersAllowed.ContainsKey(type.Name)
        select $"{file.Path}:{type.FirstLine}: {type.Name} has {members}");

    [Fact]
    public void A_program_is_its_parts_put_together() => Found(
        Sources.Where(f => Path.GetFileName(f.Path) == "Program.cs" && f.Lines.Length > ProgramLinesMax)
            .Select(f => $"{f.Path}: {f.Lines.Length} lines, at most {ProgramLinesMax}"));

    [Fact]
    public void No_token_stands_for_work_that_was_left_undone() => Found(
        from file in Sources
        from line in file.Lines.Index()
        where LeftUndone().IsMatch(line.Item) && !file.IsAboutTidiness
        select $"{file.Path}:{line.Index + 1}: {line.Item.Trim()}");

    [Fact]
    public void Nothing_is_not_implemented_waits_by_the_clock_or_is_skipped() => Found(
        from file in Sources
        from Match token in Forbidden().Matches(file.Code)
        where !token.Groups["test"].Success || file.IsTest
        select $"{file.Path}:{file.LineOf(token.Index)}: {token.Value.Trim()}");

    [Fact]
    public void A_caught_error_is_handled_or_said_to_be_no_error() => Found(
        from file in Sources
        from Match caught in EmptyCatch().Matches(file.Code)
        where IsSwallowed(caught, file.Text)
        select $"{file.Path}:{file.LineOf(caught.Index)}: an error is swallowed; handle it, or say why it is none");

    // A specimen is text that the search has to find, or to pass over; none of it is run.
    [Theory]
    [InlineData("try { } catch { }", true)] // specimen
    [InlineData("try { } catch { /* Because. */ }", true)] // specimen
    [InlineData("try { } catch (Exception) {\n // Because.\n}", true)] // specimen
    [InlineData("try { } catch (IOException e) when (e.HResult is (1 or 2)) { }", true)] // specimen
    [InlineData("try { } catch (IOException) {\n // Because.\n}", false)] // specimen
    [InlineData("try { } catch (Exception e) when (e is IOException or A) {\n // Because.\n}", false)] // specimen
    [InlineData("try { } catch (IOException) { Give(); }", false)] // specimen
    [InlineData("try { } catch (IOException e) when (e.Data is { } d) { Give(d); }", false)] // specimen
    public void What_is_swallowed_is_seen(string code, bool swallowed) =>
        Assert.Equal(swallowed, EmptyCatch().Matches(CodeMask.Of(code)).Any(caught => IsSwallowed(caught, code)));

    [Theory]
    [InlineData("throw new NotImplementedException();")] // specimen
    [InlineData("Thread.Sleep(1);")] // specimen
    [InlineData("await Task.Delay(100);")] // specimen
    [InlineData("await Task.Delay(TimeSpan.FromSeconds(1));")] // specimen
    [InlineData("[Fact(Skip = \"x\")]")] // specimen
    public void What_is_forbidden_is_seen(string code) => Assert.Matches(Forbidden(), CodeMask.Of(code));

    [Theory]
    [InlineData("await Task.Delay(Timeout.Infinite, cancel);")] // specimen
    [InlineData("items.Skip(1);")] // specimen
    public void What_is_allowed_is_not(string code) => Assert.DoesNotMatch(Forbidden(), CodeMask.Of(code));

    /// <summary>Only an error of a certain kind, with the reason in the block, can be let go.</summary>
    private static bool IsSwallowed(Match caught, string text) =>
        caught.Groups["type"].Value == ""
        || (caught.Groups["type"].Value == "Exception" && !caught.Groups["when"].Success)
        || !text.AsSpan(caught.Index, caught.Length).Contains("//", StringComparison.Ordinal);

    private static void Found(IEnumerable<string> findings)
    {
        string[] all = [.. findings];
        Assert.True(all.Length == 0, string.Join('\n', all));
    }

    [GeneratedRegex("(?:Manager|Helpers?|Utils?|Utility|Utilities|Service|Processor|Wrapper|Info|Data)$")]
    private static partial Regex BannedSuffix();

    [GeneratedRegex(@"\b(?:TODO|FIXME|HACK|XXX)\b")] // what is searched for
    private static partial Regex LeftUndone();

    // On code with comments blanked.
    [GeneratedRegex(@"\bcatch\b\s*(?:\((?<type>[\w.]+)[^)]*\)\s*)?(?<when>when\b[^{}]*\)\s*)?\{\s*\}")]
    private static partial Regex EmptyCatch();

    [GeneratedRegex(@"\bNotImplementedException\b|\bThread\.Sleep\b" // what is searched for
        + @"|(?<test>\bTask\.Delay\((?:\d|TimeSpan\.From\w+\(\d)|\bSkip\s*=(?!=))")]
    private static partial Regex Forbidden();

    private sealed class SourceFile(string path)
    {
        public string Path { get; } = path;

        public string Text { get; } = SourceTree.Read(path);

        public string[] Lines => field ??= Text.TrimEnd('\n').Split('\n');

        public string Code => field ??= CodeMask.Of(Text);

        public IReadOnlyList<Declaration> Declarations => field ??= CodeScan.Of(Text);

        public bool IsProduct => Path.StartsWith("src/", StringComparison.Ordinal);

        public bool IsTest => Path.StartsWith("tests/", StringComparison.Ordinal);

        public bool IsAboutTidiness => Path.Contains("/Tidy/", StringComparison.Ordinal);

        public int LineOf(int at) => Code.AsSpan(0, at).Count('\n') + 1;
    }
}
