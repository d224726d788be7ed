using Spectre.Console;

namespace LicenseAgent.Up;

/// <summary>What a person sees: colours and tables on a terminal, plain lines elsewhere.</summary>
internal sealed class Screen
{
    public bool IsTerminal { get; } = !Console.IsOutputRedirected && Environment.GetEnvironmentVariable("TERM") is { } term
        && term != "dumb";

    // A log is not 80 columns wide; only a terminal wraps.
    public Screen()
    {
        if (Console.IsOutputRedirected)
        {
            AnsiConsole.Profile.Width = 1000;
        }
    }

    public void Line(string text) => AnsiConsole.WriteLine(text);

    /// <summary>A step that was seen, and what was seen of it.</summary>
    public void Seen(TimeSpan at, string step, string what) =>
        AnsiConsole.MarkupLineInterpolated($"[green]seen[/]  {at.TotalSeconds,5:0.0} s  {step,-22} {what}");

    public void Missed(TimeSpan at, string step, string why) =>
        AnsiConsole.MarkupLineInterpolated($"[red]MISSED[/] {at.TotalSeconds,5:0.0} s  {step,-22} {why}");
}
