using LicenseAgent.Protocol.Encoding;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace LicenseAgent.Cli.Display;

/// <summary>The two shapes in which answers are laid out: facts with their names, and tables.</summary>
internal static class Blocks
{
    private const int FactNameWidth = 16;

    // From here on a cell of a table holds both forms of a time on one line.
    private const int WideWidth = 120;

    private static readonly Style Dim = new(decoration: Decoration.Dim);
    private static readonly Style Head = new(decoration: Decoration.Bold);

    public static bool IsWide(Screen screen) => screen.Form.Width >= WideWidth;

    public static IRenderable Facts(IEnumerable<(string Name, IRenderable? Value)> facts)
    {
        var grid = new Grid()
            .AddColumn(new GridColumn().NoWrap().Width(FactNameWidth).PadLeft(0))
            .AddColumn(new GridColumn().PadRight(0));
        foreach ((string name, IRenderable? value) in facts)
        {
            if (value is not null)
                grid.AddRow(new Text(name, Dim), value);
        }
        return grid;
    }

    /// <summary>Columns take what they need; the first keeps it when there is not enough.</summary>
    public static IRenderable Table(Screen screen, string[] heads, IEnumerable<IRenderable[]> rows)
    {
        var table = new Table().Border(TableBorder.None);
        int gap = IsWide(screen) ? 3 : 1;
        foreach (string head in heads)
        {
            var column = new TableColumn(new Text(head, Head)) { NoWrap = head == heads[0] };
            table.AddColumn(column.PadLeft(0).PadRight(gap));
        }
        foreach (IRenderable[] row in rows)
            table.AddRow(row);
        return table;
    }

    public static IRenderable Text(string? text, Color? color = null) =>
        new Text(Screen.Clean(text ?? "-"), color is { } known ? new Style(known) : Style.Plain);

    public static IRenderable Number(long? number) =>
        new Text(number?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "-");

    /// <summary>A time as a fact.</summary>
    public static IRenderable Time(UtcTime? time, UtcTime now) =>
        new Text(time is { } known ? TimeText.Both(known, now) : "-");

    /// <summary>A time in a cell: on two lines where two such columns would not fit otherwise.</summary>
    public static IRenderable Cell(Screen screen, UtcTime time, UtcTime now) => IsWide(screen)
        ? Time(time, now)
        : new Rows(new Text(TimeText.Relative(time, now)), new Text(TimeText.Absolute(time), Dim));
}
