using System.Globalization;
using System.Text;

namespace LicenseAgent.PosLoad.Report;

/// <summary>A line of a chart.</summary>
internal sealed record Series(string Name, string Color, IReadOnlyList<(double X, double Y)> Points);

/// <summary>A vertical mark with a word.</summary>
internal sealed record Mark(double X, string Text);

/// <summary>
/// A chart as SVG, drawn here so that the page needs no script. Y begins at 0, or is logarithmic where values span
/// magnitudes.
/// </summary>
internal sealed class Chart(string title, string unit, bool isLog = false)
{
    private const int Width = 1180, Height = 240, Left = 70, Right = 30, Top = 30, Bottom = 34;
    private const int PointsMax = 1200;
    private static readonly double[] s_nice = [1, 2, 4, 5, 8, 10];

    public IReadOnlyList<Series> Series { get; init; } = [];

    public IReadOnlyList<Mark> Marks { get; init; } = [];

    /// <summary>Labels of X; seconds when not given.</summary>
    public IReadOnlyList<(double X, string Text)>? Ticks { get; init; }

    public string Svg()
    {
        (double X, double Y)[] all = [.. Series.SelectMany(s => s.Points)];
        if (all.Length == 0)
        {
            return "";
        }

        double x0 = all.Min(p => p.X), x1 = Math.Max(all.Max(p => p.X), x0 + 1e-9);
        double low = isLog ? Math.Max(1e-3, all.Where(p => p.Y > 0).Select(p => p.Y).DefaultIfEmpty(1).Min()) : 0;
        double high = Math.Max(all.Max(p => p.Y), low * 1.001 + 1e-9);
        (double bottom, double top) = isLog
            ? (Math.Floor(Math.Log10(low)), Math.Ceiling(Math.Log10(high)))
            : (0, NiceAbove(high));
        double X(double x) => Left + ((x - x0) / (x1 - x0) * (Width - Left - Right));
        double Y(double y)
        {
            double value = isLog ? Math.Log10(Math.Max(y, Math.Pow(10, bottom))) : y;
            return Height - Bottom - ((value - bottom) / Math.Max(top - bottom, 1e-9) * (Height - Top - Bottom));
        }

        StringBuilder svg = new();
        svg.Append(CultureInfo.InvariantCulture,
            $"<figure><figcaption>{Text(title)} <small>{Text(unit)}</small></figcaption>"
            + $"<svg viewBox=\"0 0 {Width} {Height}\" role=\"img\" aria-label=\"{Text(title)}\">");
        Grid(svg, bottom, top, Y);
        foreach ((double x, string text) in Ticks ?? SecondTicks(x0, x1))
        {
            svg.Append(CultureInfo.InvariantCulture,
                $"<text x=\"{X(x):0.0}\" y=\"{Height - 14}\" class=\"x\">{Text(text)}</text>");
        }

        foreach (Mark mark in Marks)
        {
            svg.Append(CultureInfo.InvariantCulture,
                $"<line x1=\"{X(mark.X):0.0}\" x2=\"{X(mark.X):0.0}\" y1=\"{Top}\" y2=\"{Height - Bottom}\" class=\"mark\"/>"
                + $"<text x=\"{X(mark.X) + 4:0.0}\" y=\"{Top + 10}\" class=\"mark\">{Text(mark.Text)}</text>");
        }

        int legend = Left;
        foreach (Series series in Series)
        {
            string points = string.Join(' ', Thin(series.Points).Select(
                p => string.Create(CultureInfo.InvariantCulture, $"{X(p.X):0.0},{Y(p.Y):0.0}")));
            svg.Append(CultureInfo.InvariantCulture,
                $"<polyline points=\"{points}\" stroke=\"{series.Color}\"/>"
                + $"<rect x=\"{legend}\" y=\"8\" width=\"12\" height=\"12\" fill=\"{series.Color}\"/>"
                + $"<text x=\"{legend + 17}\" y=\"18\">{Text(series.Name)}</text>");
            legend += 40 + (series.Name.Length * 8);
        }

        return svg.Append("</svg></figure>").ToString();
    }

    private void Grid(StringBuilder svg, double bottom, double top, Func<double, double> y)
    {
        IEnumerable<double> lines = isLog
            ? Enumerable.Range((int)bottom, (int)(top - bottom) + 1).Select(e => Math.Pow(10, e))
            : Enumerable.Range(0, 5).Select(i => top * i / 4);
        foreach (double value in lines)
        {
            svg.Append(CultureInfo.InvariantCulture,
                $"<line x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{y(value):0.0}\" y2=\"{y(value):0.0}\" class=\"grid\"/>"
                + $"<text x=\"{Left - 8}\" y=\"{y(value) + 4:0.0}\" class=\"y\">{value:#,0.###}</text>");
        }
    }

    // The peak of each stretch stays: what a report must not hide is the worst moment.
    private static IEnumerable<(double X, double Y)> Thin(IReadOnlyList<(double X, double Y)> points) =>
        points.Count <= PointsMax
            ? points
            : points.Chunk((points.Count / PointsMax) + 1).Select(chunk => chunk.MaxBy(p => p.Y));

    private static IEnumerable<(double, string)> SecondTicks(double from, double to) =>
        Enumerable.Range(0, 7).Select(i => from + ((to - from) * i / 6))
            .Select(x => (x, string.Create(CultureInfo.InvariantCulture, $"{x:0} s")));

    private static double NiceAbove(double value)
    {
        double magnitude = Math.Pow(10, Math.Floor(Math.Log10(Math.Max(value, 1e-6))));
        return s_nice.Select(f => f * magnitude).First(v => v >= value);
    }

    private static string Text(string text) => System.Net.WebUtility.HtmlEncode(text);
}
