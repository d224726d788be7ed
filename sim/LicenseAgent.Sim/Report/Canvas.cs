using System.Globalization;
using System.Net;
using System.Text;
using LicenseAgent.Sim.Campaign;

namespace LicenseAgent.Sim.Report;

/// <summary>
/// An SVG picture of a stretch of time, from left to right. What is drawn is bounded by the width, however much happened:
/// marks of a kind that would touch become one.
/// </summary>
internal sealed class Canvas(long fromUs, long toUs)
{
    public const int Left = 96;
    public const int Width = 1_240;

    // Nearer to each other than this, marks cannot be told apart.
    private const double TouchPx = 4;

    private readonly StringBuilder _svg = new();

    public long FromUs { get; } = fromUs;

    public long ToUs { get; } = toUs;

    public bool Shows(long fromUs, long toUs) => fromUs <= ToUs && toUs >= FromUs;

    public double X(long us) =>
        Left + (Math.Clamp((us - FromUs) / (double)Math.Max(1, ToUs - FromUs), 0, 1) * Width);

    public void Add(string svg) => _svg.Append(svg).Append('\n');

    public void Box(string style, double x, double y, double width, double height, string title) => Add(
        $"<rect class=\"{style}\" x=\"{N(x)}\" y=\"{N(y)}\" width=\"{N(width)}\" height=\"{N(height)}\">"
        + $"<title>{Safe(title)}</title></rect>");

    public void Line(string style, double x1, double y1, double x2, double y2, string title) => Add(
        $"<line class=\"{style}\" x1=\"{N(x1)}\" y1=\"{N(y1)}\" x2=\"{N(x2)}\" y2=\"{N(y2)}\">"
        + $"<title>{Safe(title)}</title></line>");

    public void Text(string style, double x, double y, string text) =>
        Add($"<text class=\"{style}\" x=\"{N(x)}\" y=\"{N(y)}\">{Safe(text)}</text>");

    /// <summary>Small marks of one kind at certain times, in order.</summary>
    public void Ticks(string style, double y, double height, IEnumerable<(long AtUs, Func<string> Text)> marks)
    {
        (double X, long AtUs, string Text)? first = null;
        (double lastX, long lastUs, int count) = (0, 0, 0);
        foreach ((long at, Func<string> text) in marks.Where(m => Shows(m.AtUs, m.AtUs)))
        {
            double x = X(at);
            if (first is null || x - lastX > TouchPx)
            {
                Flush();
                (first, count) = ((x, at, text()), 0);
            }

            (lastX, lastUs) = (x, at);
            count++;
        }

        Flush();

        void Flush()
        {
            if (first is { } begun)
            {
                string more = count == 1 ? "" : $", and {count - 1} more to {VirtualTime.Text(lastUs)}";
                Box(style, begun.X - 1, y, lastX - begun.X + 2, height, $"{VirtualTime.Text(begun.AtUs)} {begun.Text}{more}");
            }
        }
    }

    public string Picture(int height) =>
        $"<svg viewBox=\"0 0 {Left + Width + 10} {height}\" width=\"{Left + Width + 10}\" height=\"{height}\">\n{_svg}</svg>\n";

    public static string N(double number) => number.ToString("0.##", CultureInfo.InvariantCulture);

    public static string Safe(string text) => WebUtility.HtmlEncode(text);
}
