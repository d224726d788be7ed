using System.Text;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.World.Server;

namespace LicenseAgent.Sim.Report;

/// <summary>
/// How far two clocks of a till are from the truth: the machine's wall clock, and the agent's trusted now. Second by
/// second near the middle and by powers of ten away from it, so that a tick and a year both show.
/// </summary>
internal static class ClockLane
{
    public static void Draw(Canvas canvas, IReadOnlyList<Happening> own, double y, double height)
    {
        List<(Seen[] Shown, long ToUs)> stretches = [.. Stretches(own, canvas.ToUs).Where(s => s.Shown.Length > 0
            && canvas.Shows(s.Shown[0].AtUs, s.ToUs)).Select(s => (Within(canvas, s.Shown), s.ToUs))];
        long most = Math.Max(1_000, stretches.SelectMany(s => s.Shown).Select(s => Math.Max(
            Math.Abs(s.WallOffMs), Math.Abs(Trusted(s) ?? 0))).DefaultIfEmpty(0).Max());
        double middle = y + (height / 2);
        canvas.Line("grid", Canvas.Left, middle, Canvas.Left + Canvas.Width, middle, "the truth");
        double drawn = 0;
        foreach ((Seen[] shown, long to) in stretches.Where(s => canvas.X(s.ToUs) >= drawn + 1))
        {
            drawn = canvas.X(to);
            Curve("wall", "wall clock", shown, to, s => s.WallOffMs);
            Curve("trusted", "trusted now", shown, to, Trusted);
        }

        canvas.Text("scale", Canvas.Left + Canvas.Width - 2, y + 6, HappeningText.Off(most));
        canvas.Text("scale", Canvas.Left + Canvas.Width - 2, y + height, HappeningText.Off(-most));

        void Curve(string style, string what, Seen[] shown, long to, Func<Seen, long?> off)
        {
            StringBuilder points = new();
            double? before = null;
            long extreme = 0;
            foreach (IGrouping<int, long> column in shown.Where(s => off(s) is not null)
                .GroupBy(s => (int)canvas.X(s.AtUs), s => off(s)!.Value))
            {
                // Within a pixel only how far it went shows.
                long[] ends = [.. new[] { column.First(), column.Min(), column.Max(), column.Last() }.Distinct()];
                extreme = ends.Append(extreme).MaxBy(Math.Abs);
                points.Append(before is { } held ? Point(column.Key, held) : "");
                points.AppendJoin("", ends.Select(ms => Point(column.Key, Height(ms))));
                before = Height(column.Last());
            }

            if (before is { } last)
            {
                canvas.Add($"<polyline class=\"{style}\" points=\"{points}{Point(canvas.X(to), last)}\">"
                    + $"<title>{what}, up to {HappeningText.Off(extreme)} from the truth</title></polyline>");
            }
        }

        double Height(long ms) => middle - (Scaled(ms) / Scaled(most) * height / 2);
    }

    /// <summary>What a clock did while no process ran is not known.</summary>
    private static IEnumerable<(Seen[] Shown, long ToUs)> Stretches(IReadOnlyList<Happening> own, long toUs)
    {
        List<Seen> stretch = [];
        foreach (Happening h in own)
        {
            if (h is Seen seen)
            {
                stretch.Add(seen);
            }
            else if (h is Ended)
            {
                yield return ([.. stretch], h.AtUs);
                stretch.Clear();
            }
        }

        yield return ([.. stretch], toUs);
    }

    /// <summary>Also the last before the picture begins, which is what was so then.</summary>
    private static Seen[] Within(Canvas canvas, Seen[] shown)
    {
        int before = Math.Max(0, Array.FindLastIndex(shown, s => s.AtUs <= canvas.FromUs));
        return [.. shown[before..].TakeWhile(s => s.AtUs <= canvas.ToUs)];
    }

    // Before its first contact an agent has no time to trust.
    private static long? Trusted(Seen seen) => seen.LastContactMs is null || seen.TrustedMs == 0
        ? null
        : seen.TrustedMs - SimServer.At(seen.AtUs).UnixMs;

    private static double Scaled(long ms) => Math.Sign(ms) * Math.Log10(1 + (Math.Abs(ms) / 100.0));

    private static string Point(double x, double y) => $"{Canvas.N(x)},{Canvas.N(y)} ";
}
