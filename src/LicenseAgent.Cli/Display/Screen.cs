using System.Globalization;
using System.Text;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace LicenseAgent.Cli.Display;

/// <summary>How wide and how colourful standard output is.</summary>
/// <param name="IsTerminal">Somebody looks at it, instead of a file or a pipe.</param>
internal sealed record ScreenForm(bool IsTerminal, bool HasColor, int Width)
{
    // Nobody folds a line of a file: wide enough that tables take their natural width.
    private const int FileWidth = 240;

    // Below this, tables become unreadable one way or the other.
    private const int NarrowestWidth = 60;

    /// <summary>A file or a pipe.</summary>
    public static ScreenForm File { get; } = new(IsTerminal: false, HasColor: false, FileWidth);

    public static ScreenForm OfThisProcess(Func<string, string?> environment)
    {
        if (Console.IsOutputRedirected)
            return File;
        bool hasColor = string.IsNullOrEmpty(environment("NO_COLOR"))
            && environment("TERM") is not (null or "" or "dumb");
        return new ScreenForm(IsTerminal: true, hasColor, Math.Max(NarrowestWidth, Console.WindowWidth));
    }
}

/// <summary>Standard output and standard error of one run. Used by one thread.</summary>
internal sealed class Screen
{
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false);

    private readonly Stream output;

    public Screen(Stream output, TextWriter error, ScreenForm form)
    {
        this.output = output;
        Error = error;
        Form = form;
        Writer = new StreamWriter(output, Utf8, leaveOpen: true) { AutoFlush = true, NewLine = "\n" };
    }

    public ScreenForm Form { get; }

    public TextWriter Writer { get; }

    public TextWriter Error { get; }

    /// <summary>The bytes and nothing else; a terminal gets the end of the line, for the prompt that follows.</summary>
    public void Answer(ReadOnlyMemory<byte> utf8)
    {
        if (utf8.IsEmpty)
            return;
        output.Write(utf8.Span);
        if (Form.IsTerminal && utf8.Span[^1] != '\n')
            output.WriteByte((byte)'\n');
        output.Flush();
    }

    public void Line(string text = "") => Writer.WriteLine(Clean(text));

    public void Warn(string text) => Error.WriteLine($"warning: {Clean(text)}");

    public void Write(IRenderable content)
    {
        var text = new StringWriter(CultureInfo.InvariantCulture);
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = Form.HasColor ? AnsiSupport.Yes : AnsiSupport.No,
            ColorSystem = Form.HasColor ? ColorSystemSupport.Standard : ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
            Out = new AnsiConsoleOutput(text),
        });
        console.Profile.Width = Form.Width;
        console.Write(content);
        foreach (string line in text.ToString().TrimEnd('\n').Split('\n'))
            Writer.WriteLine(line.TrimEnd(' ', '\r'));
    }

    /// <summary>
    /// Text from elsewhere without what would steer a terminal: a license id is whatever its issuer wrote.
    /// </summary>
    public static string Clean(string text) => text.Any(IsSteering)
        ? string.Concat(text.Select(c => IsSteering(c) ? '?' : c))
        : text;

    private static bool IsSteering(char c) =>
        char.IsControl(c) || CharUnicodeInfo.GetUnicodeCategory(c) is UnicodeCategory.Format
            or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;
}
