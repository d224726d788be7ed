using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using LicenseAgent.Sim.Plans;

namespace LicenseAgent.Sim.Campaign;

/// <summary>
/// Processes of this program that judge seeds, one at a time each. A process and not a thread, because a run belongs to
/// its thread and to nothing else, and because compiler and collector are set for long runs from outside only: full
/// compilation of everything at once and a large first generation are half of the time.
/// </summary>
internal static class Workers
{
    public const string Command = "work";

    private const int TwiceEvery = 20;
    private const int ManyTills = 1_000;

    // What lite to swarm stay below, and fleet and long are far above.
    private const long CheapTillHours = 10_000;

    // What the framework brings compiled is never compiled better without tiers, and it is a third of the time.
    private static readonly (string Name, string Value)[] Settings =
    [
        ("DOTNET_TieredCompilation", "0"), ("DOTNET_ReadyToRun", "0"), ("DOTNET_EnableWriteXorExecute", "0"),
        ("DOTNET_GCgen0size", "0x4000000"),
    ];

    // Ten thousand tills have as many timers, which live for a minute: in 64 MiB that is long, and half of the time goes
    // into carrying them off. A first generation is at most half a segment large, and 200 MiB beside a concurrent collector.
    private static readonly (string Name, string Value)[] OfManyTills =
    [
        ("DOTNET_GCgen0size", "0x40000000"), ("DOTNET_GCSegmentSize", "0x100000000"), ("DOTNET_gcConcurrent", "0"),
    ];

    /// <summary>The worker's side: a seed a line in, a result a line out.</summary>
    public static int Serve(Profile profile, TextReader input, TextWriter output)
    {
        while (input.ReadLine() is { } line)
        {
            string[] words = line.Split(' ');
            ulong seed = ulong.Parse(words[0], CultureInfo.InvariantCulture);
            output.WriteLine(SeedResult.Of(seed, profile, twice: words[1] == "twice").Write());
            output.Flush();
        }

        return ExitCodes.Ok;
    }

    /// <summary>
    /// Whether a campaign's seed runs twice: every twentieth, and of fewer than twenty the last, but for runs that take
    /// minutes.
    /// </summary>
    /// <param name="index">Of the seed in the campaign, from 0.</param>
    public static bool IsTwice(Profile profile, int index, int seeds) =>
        index % TwiceEvery == TwiceEvery - 1
        || (seeds < TwiceEvery && index == seeds - 1 && (long)profile.TillsMax * profile.HoursMax < CheapTillHours);

    /// <summary>Judges seeds in any order, some twice. Ends early when nobody asks for more.</summary>
    public static IEnumerable<SeedResult> Judge(Profile profile, ulong from, int seeds, int jobs)
    {
        using BlockingCollection<SeedResult> results = [];
        int next = -1;
        bool enough = false;
        Thread[] threads = [.. Enumerable.Range(0, Math.Min(jobs, seeds)).Select(_ => new Thread(Drive))];
        Array.ForEach(threads, t => t.Start());
        try
        {
            for (int i = 0; i < seeds; i++)
            {
                yield return results.Take();
            }
        }
        finally
        {
            Volatile.Write(ref enough, true);
            Array.ForEach(threads, t => t.Join());
        }

        void Drive()
        {
            using Process worker = Begin(profile);
            while (!Volatile.Read(ref enough) && Interlocked.Increment(ref next) is var i && i < seeds)
            {
                ulong seed = unchecked(from + (ulong)i);
                results.Add(Ask(worker, seed, twice: IsTwice(profile, i, seeds)));
            }

            EndInput(worker);
            worker.WaitForExit();
        }
    }

    private static void EndInput(Process worker)
    {
        try
        {
            worker.StandardInput.Close();
        }
        catch (IOException)
        {
            // It ended by itself, as the result of its last seed says.
            return;
        }
    }

    private static SeedResult Ask(Process worker, ulong seed, bool twice)
    {
        string trouble = "its worker ended";
        try
        {
            worker.StandardInput.WriteLine($"{seed} {(twice ? "twice" : "once")}");
            worker.StandardInput.Flush();
            if (worker.StandardOutput.ReadLine() is { } line)
            {
                return SeedResult.Read(line);
            }
        }
        catch (IOException e)
        {
            trouble += $": {e.Message}";
        }

        return new SeedResult(seed, ExitCodes.HarnessError, trouble, [], [], 0, 0, "");
    }

    private static Process Begin(Profile profile)
    {
        string program = Path.Combine(AppContext.BaseDirectory, "license-agent-sim");
        ProcessStartInfo start = new(program, [Command, "--profile", profile.Name])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        foreach ((string name, string value) in profile.TillsMax > ManyTills ? [.. Settings, .. OfManyTills] : Settings)
        {
            start.Environment[name] = value;
        }

        return Process.Start(start) ?? throw new PlanException($"{program} does not start.");
    }
}
