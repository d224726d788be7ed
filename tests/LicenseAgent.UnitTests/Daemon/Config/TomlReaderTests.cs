using System.Text;
using LicenseAgent.Daemon.Config;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Config;

public sealed class TomlReaderTests
{
    [Theory]
    [InlineData("\"text\"", "text")]
    [InlineData("\"\"", "")]
    [InlineData("''", "")]
    [InlineData("'C:\\no\\escape'", @"C:\no\escape")]
    [InlineData("\"a\\tb\\n\\\"c\\\" \\\\ \\u00E9 \\U0001F600\"", "a\tb\n\"c\" \\ é 😀")]
    [InlineData("\"# no comment\" # a comment", "# no comment")]
    [InlineData("\"é\"", "é")]
    public void A_string_reads_as_TOML_says(string written, string meant) =>
        Assert.Equal(meant, Assert.IsType<TomlString>(Single(written)).Text);

    [Theory]
    [InlineData("0", 0)]
    [InlineData("+7", 7)]
    [InlineData("-17", -17)]
    [InlineData("1_000_000", 1_000_000)]
    [InlineData("0x81018A01", 0x81018A01)]
    [InlineData("0xdead_beef", 0xDEADBEEF)]
    [InlineData("0o755", 493)]
    [InlineData("0b1101", 13)]
    [InlineData("9223372036854775807", long.MaxValue)]
    [InlineData("-9223372036854775808", long.MinValue)]
    [InlineData("0x7fffffffffffffff", long.MaxValue)]
    public void An_integer_reads_as_TOML_says(string written, long meant) =>
        Assert.Equal(meant, Assert.IsType<TomlInteger>(Single(written)).Number);

    [Theory]
    [InlineData("true", true)]
    [InlineData("false", false)]
    public void A_boolean_reads_as_TOML_says(string written, bool meant) =>
        Assert.Equal(meant, Assert.IsType<TomlBoolean>(Single(written)).Truth);

    [Theory]
    [InlineData("[]", "")]
    [InlineData("[1, 2, 3]", "1 2 3")]
    [InlineData("[ 1,2, ]", "1 2")]
    [InlineData("[ # first\n  1, # one\n\n  2\n  # end\n]", "1 2")]
    public void An_array_reads_as_TOML_says(string written, string meant)
    {
        var array = Assert.IsType<TomlArray>(Single(written));
        Assert.Equal(meant, string.Join(' ', array.Items.Cast<TomlInteger>().Select(i => i.Number)));
    }

    [Fact]
    public void Keys_carry_their_table_and_line()
    {
        var document = Read("top = 1\n# note\n[a]\r\nx-1 = 'one'\r\n\n[b_2] # note\ny=2");
        Assert.Empty(document.Errors);
        Assert.Equal(
            [("", "top", 1), ("a", "x-1", 4), ("b_2", "y", 7)],
            document.Entries.Select(e => (e.Section, e.Key, e.Line)));
    }

    [Theory]
    [InlineData("k = 1.5", "floating-point")]
    [InlineData("k = 1e5", "floating-point")]
    [InlineData("k = -inf", "floating-point")]
    [InlineData("k = nan", "floating-point")]
    [InlineData("k = 1979-05-27", "dates and times")]
    [InlineData("k = 1979-05-27T07:32:00.5-07:00", "dates and times")]
    [InlineData("k = 07:32:00", "dates and times")]
    [InlineData("k = \"\"\"a\"\"\"", "multi-line strings")]
    [InlineData("k = '''a'''", "multi-line strings")]
    [InlineData("k = { a = 1 }", "inline tables")]
    [InlineData("[[k]]", "arrays of tables")]
    [InlineData("[a.b]", "nested tables")]
    [InlineData("a.b = 1", "dotted keys")]
    [InlineData("\"a\" = 1", "quoted keys")]
    [InlineData("k = [[1]]", "array inside an array")]
    public void What_TOML_has_and_this_reader_does_not_is_refused_by_name(string line, string named)
    {
        var error = Assert.Single(Read("\n" + line).Errors);
        Assert.Equal(2, error.Line);
        Assert.Contains(named, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("k = 007")]
    [InlineData("k = 1__0")]
    [InlineData("k = _1")]
    [InlineData("k = 0x")]
    [InlineData("k = +0x1")]
    [InlineData("k = 0b2")]
    [InlineData("k = 0o8")]
    [InlineData("k = 9223372036854775808")]
    [InlineData("k = 0x8000000000000000")]
    [InlineData("k = -9223372036854775809")]
    [InlineData("k = True")]
    [InlineData("k = word")]
    [InlineData("k =")]
    [InlineData("k")]
    [InlineData("= 1")]
    [InlineData("k = 1 2")]
    [InlineData("k = 'a' 'b'")]
    [InlineData("k = \"open")]
    [InlineData("k = 'open")]
    [InlineData("k = \"\\q\"")]
    [InlineData("k = \"\\uD800\"")]
    [InlineData("k = \"\\u12\"")]
    [InlineData("k = \"\u0001\"")]
    [InlineData("# \u0000")]
    [InlineData("[open")]
    [InlineData("[]")]
    [InlineData("[a] k = 1")]
    [InlineData("k = [1 2]")]
    [InlineData("k = [1")]
    [InlineData("k = [,]")]
    public void A_malformed_line_is_one_error(string line) => Assert.Single(Read(line).Errors);

    [Fact]
    public void A_second_key_or_table_of_the_same_name_is_refused_with_the_line_of_the_first()
    {
        var errors = Read("[a]\nk = 1\nk = 2\n[b]\n[a]\n").Errors;
        Assert.Equal([3, 5], errors.Select(e => e.Line));
        Assert.Contains("line 2", errors[0].Message, StringComparison.Ordinal);
        Assert.Contains("line 1", errors[1].Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Reading_goes_on_after_a_mistake_so_that_every_one_is_reported()
    {
        var document = Read("a = \nb = 2\nc = [\n  1,\n  1.5,\n  3,\n]\nd = 4\n[open\ne = 5\nf = 0.1");
        Assert.Equal([1, 5, 9, 11], document.Errors.Select(e => e.Line));
        Assert.Equal(["b", "d", "e"], document.Entries.Select(e => e.Key));
    }

    [Fact]
    public void A_line_that_is_not_UTF8_is_named()
    {
        byte[] file = [.. "a = 1\nb = '"u8, 0xFF, .. "'\n"u8];
        Assert.Equal(2, Assert.Single(TomlReader.Read(file).Errors).Line);
    }

    [Fact]
    public void A_byte_order_mark_is_refused() =>
        Assert.Equal(1, Assert.Single(TomlReader.Read("\uFEFFa = 1"u8).Errors).Line);

    [Fact]
    public void A_file_over_the_limit_is_refused_unread() =>
        Assert.Single(TomlReader.Read(new byte[TomlReader.MaxBytes + 1]).Errors);

    [Fact]
    public void Hostile_input_ends_in_errors_and_never_in_an_exception()
    {
        var random = new Random(1);
        const string Alphabet = "ab=[]{}\"'\\#,.\n\r\t 01xuU-+_:T\u0000é";
        for (int i = 0; i < 20_000; i++)
        {
            string text = string.Concat(Enumerable.Range(0, random.Next(40)).Select(_ =>
                Alphabet[random.Next(Alphabet.Length)]));
            var document = Read(text);
            int lines = 1 + text.Count(c => c == '\n');
            Assert.All(document.Errors, e => Assert.InRange(e.Line, 1, lines));
        }
    }

    private static TomlDocument Read(string text) => TomlReader.Read(Encoding.UTF8.GetBytes(text));

    private static TomlValue Single(string written)
    {
        var document = Read($"k = {written}\n");
        Assert.Empty(document.Errors);
        return Assert.Single(document.Entries).Value;
    }
}
