using System.CommandLine;
using LicenseAgent.Cli.Display;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Management;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace LicenseAgent.Cli.Commands;

internal static class ClockCommand
{
    private static readonly string[] Heads = ["CLOCK", "SAYS", "AHEAD", "STEADY", "VERDICT"];

    public static Command Create(AgentCalls calls) => calls.Bind(
        new Command("clock", "What trusted now rests on, and why each clock is believed or not"),
        (client, _, cancel) => client.ClockAsync(cancel),
        (screen, clock) =>
        {
            screen.Write(Blocks.Facts(Facts(clock)));
            screen.Line();
            screen.Write(Blocks.Table(screen, Heads, clock.Clocks.Select(judged => Row(screen, judged))));
            foreach (ClockView judged in clock.Clocks)
                screen.Line($"{judged.Clock}: {judged.Why}");
        });

    private static IEnumerable<(string Name, IRenderable? Value)> Facts(ClockResponse clock)
    {
        UtcTime now = clock.TrustedNow;
        yield return ("trusted now", new Text(TimeText.Absolute(now)));
        yield return ("rests on", Blocks.Text(EvidenceOf(clock.RestsOn)));
        yield return ("proven now", Blocks.Time(clock.ProvenNow, now));
        yield return ("wall clock", Blocks.Text($"{TimeText.Absolute(clock.WallClock)}, {Lead(clock.WallAheadMs)}"));
        yield return ("last contact at", Blocks.Time(clock.AnchorTime, now));
        yield return ("in this boot", Blocks.Text(clock.AnchorOfThisBoot ? "yes" : "no"));
        yield return ("high-water", Blocks.Time(clock.HighWater, now));
        yield return ("TPM mirror", Blocks.Time(clock.Mirror, now));
        yield return ("put back", clock.RunStatePutBack
            ? Blocks.Text("run.json was missing or older than the TPM remembers; 6 h are charged", Color.Red)
            : null);
        yield return ("in doubt for", clock.DoubtedS > 0
            ? Blocks.Text($"{TimeText.Length(TimeSpan.FromSeconds(clock.DoubtedS))} of 48 h", Color.Yellow)
            : null);
    }

    private static IRenderable[] Row(Screen screen, ClockView judged) =>
    [
        Blocks.Text(judged.Clock), new Text(TimeText.Absolute(judged.Reading)), Blocks.Text(Lead(judged.AheadMs)),
        Blocks.Text(TimeText.Length(TimeSpan.FromSeconds(judged.SteadyS))),
        Blocks.Text(judged.Verdict, judged.Verdict switch
        {
            "too_far_ahead" => Color.Red,
            "unsteady" => Color.Yellow,
            _ => null,
        }),
    ];

    private static string Lead(long ms)
    {
        TimeSpan lead = TimeSpan.FromMilliseconds(ms);
        string length = TimeText.Length(lead.Duration());
        return length == "0 s" ? "with trusted now" : lead > TimeSpan.Zero ? $"{length} ahead" : $"{length} behind";
    }

    private static string EvidenceOf(string word) => word switch
    {
        "build_time" => "the program's build time: nothing later is known",
        "bound_state" => "the server's time in state.json",
        "anchor" => "the server's last word and the boot clock",
        "high_water" => "the high-water mark of run.json and the boot clock",
        "mirror" => "the copy of the high-water mark in the TPM",
        "mirror_charged" => "the copy of the high-water mark in the TPM and 6 h, because run.json was put back",
        "wall_clock" => "the wall clock, believed",
        "tpm_clock" => "the TPM's clock, believed",
        "sleep" => "time asleep, believed",
        _ => word,
    };
}
