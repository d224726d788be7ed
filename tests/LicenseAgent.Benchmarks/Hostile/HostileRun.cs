using System.Globalization;
using LicenseAgent.Benchmarks.Till;
using LicenseAgent.Testbed.Processes;
using LicenseAgent.Testbed.Tills;

namespace LicenseAgent.Benchmarks.Hostile;

/// <summary>Good clients alone and beside the crowd, alternating; what they wait, and what the agent needs.</summary>
internal static class HostileRun
{
    private const int Good = 4, PerSecond = 160, Rounds = 5;
    private const double RatioMax = 2;

    // What protects the good ones is measured as it is shipped.
    private const int ShippedRate = 200;

    public static async Task RunAsync(TimeSpan round, CancellationToken cancel)
    {
        Console.Error.WriteLine("- starting swtpm, license server and agent; enrolling");
        await using EnrolledTill till = await EnrolledTill.OpenAsync(
            new EnrolledTillSettings(new ServerSettings(), [0, .. Crowd.ListedUids], PosRate: ShippedRate),
            cancel);
        string token = (await till.IssueAsync(1, TimeSpan.FromDays(365)))[0];
        PosConnection[] good = [.. Enumerable.Range(0, Good).Select(_ => new PosConnection(till.PosSocket, token))];
        foreach (PosConnection connection in good)
            connection.Learn(mustBeValid: true);
        OpenLoop.Run(good, PerSecond, round, cancel);
        double memoryBefore = till.ResidentMiB(), memory = 0;
        int handlesBefore = Handles(till), handles = 0, answered = 0;
        List<double> alone = [], beside = [], acts = [];
        for (int i = 1; i <= Rounds; i++)
        {
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"- round {i} of {Rounds}"));
            alone.Add(OpenLoop.Run(good, PerSecond, round, cancel).P99);

            // What five hundred clients cost the machine is not what they cost the agent.
            await using ChildProcess crowd = await ChildProcess.StartAsync(
                "nice", ["-n", "19", ChildProcess.PathOf("LicenseAgent.Benchmarks"), Crowd.Command, till.PosSocket]);
            await crowd.WaitForLineAsync(Crowd.Ready, cancel);
            OpenLatency latency = OpenLoop.Run(good, PerSecond, round, cancel);
            if (Crowd.LastRate(crowd.Said) is { } rate)
                acts.Add(rate);
            beside.Add(latency.P99);
            answered += latency.Answered;
            memory = Math.Max(memory, till.ResidentMiB());
            handles = Math.Max(handles, Handles(till));
        }

        foreach (PosConnection connection in good)
            connection.Dispose();
        double before = Median(alone), with = Median(beside);
        Figure.Print(
            [
                Figure.Only("good clients alone, p99", before, "us"),
                Figure.Only($"beside {5 * Crowd.OfEachKind} hostile connections, p99", with, "us"),
                Figure.AtMost("  ratio", with / before, RatioMax, ""),
                Figure.Only("acts of the crowd, at the lowest priority", Median(acts), "/s"),
                Figure.Only("good requests beside the crowd, all answered", answered, ""),
                Figure.Only("resident memory before", memoryBefore, "MiB"),
                Figure.AtMost("resident memory beside the crowd, highest", memory, 130, "MiB"),
                Figure.Only("descriptors before", handlesBefore, ""),
                Figure.AtMost("descriptors beside the crowd, highest", handles, handlesBefore + 256 + 64 + 16, ""),
            ],
            Console.Out);
    }

    private static int Handles(EnrolledTill till) => Directory.GetFiles($"/proc/{till.AgentId}/fd").Length;

    private static double Median(List<double> values) =>
        values.Count == 0 ? double.NaN : values.Order().ElementAt(values.Count / 2);
}
