using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World;

namespace LicenseAgent.Sim.Commands;

/// <summary>
/// Golden scenarios with the process killed (or the power cut) before and after the k-th call of a port, for k = 1, 2, …
/// until a run makes no k-th call within the scenario any more. Every point of a crash is walked, not drawn.
/// </summary>
internal static class FailNth
{
    private static readonly Knobs Quick = new(PosEveryS: 300, RotationS: 1_800, GraceS: 21_600);

    public static IReadOnlyList<Plan> Golden { get; } =
    [
        // Enrolment, the first rotation, the scheduled one after it.
        new(Plan.CurrentFormat, 7, "enrol", 1, 1, Quick, [], []),
        new(Plan.CurrentFormat, 8, "orders", 1, 1, Quick with { RotationS = 43_200, CheckInS = 120 }, [],
            [
                new(1, 300, SimWorld.NameOf(1), OrderKinds.RotateNow),
                new(2, 700, SimWorld.NameOf(1), OrderKinds.Revoke),
                new(3, 1_100, SimWorld.NameOf(1), OrderKinds.Suspend),
                new(4, 1_400, SimWorld.NameOf(1), OrderKinds.Resume),
                new(5, 1_700, SimWorld.NameOf(1), OrderKinds.InvalidateBelow, 1),
                new(6, 2_300, SimWorld.NameOf(1), OrderKinds.Rotate),
                new(7, 2_700, SimWorld.NameOf(1), OrderKinds.Invalidate),
            ]),
    ];

    /// <param name="every">Walks every n-th call only, from <paramref name="first"/> on: a sample.</param>
    public static int Run(string scenario, int limit, int every, int first, TextWriter output)
    {
        int runs = 0, broken = 0;
        foreach (Plan golden in Golden.Where(g => scenario.Length == 0 || g.Profile == scenario))
        {
            foreach ((bool power, bool after) in ((bool, bool)[])[(false, false), (false, true), (true, false), (true, true)])
            {
                int k = first;
                bool fell = true;
                for (; fell && k <= limit; k += every, runs++)
                {
                    (RunOutcome run, fell) = With(golden, k, after, power);
                    if (!run.IsClean)
                    {
                        broken++;
                        output.WriteLine($"{golden.Profile}: {Text(power, after)} call {k}: "
                            + (run.Escape?.Message ?? VirtualTime.Line(run.Violations[0])));
                    }
                }

                output.WriteLine($"{golden.Profile}: {Text(power, after)} {(every == 1 ? "each" : $"every {every}th")} of {k - every} calls");
                output.Flush();
            }
        }

        output.WriteLine($"{runs} runs, {broken} broken");
        return broken == 0 ? ExitCodes.Ok : ExitCodes.Violation;
    }

    /// <returns>The run, and whether there was a k-th call.</returns>
    public static (RunOutcome Run, bool Fell) With(Plan golden, int k, bool after, bool power)
    {
        bool fell = false;
        RunOutcome run = Runner.Run(golden, world =>
        {
            SimTill till = world.Tills[0];
            till.CrashAt(new CrashPoint(k, after), _ =>
            {
                fell = true;
                if (power)
                {
                    till.PowerCut();
                }

                world.Loop.After(1_000_000, till.Start);
            });
            world.Loop.At(golden.Hours * 3_600_000_000L, till.CrashNever);
        });
        return (run, fell);
    }

    private static string Text(bool power, bool after) =>
        $"{(power ? "power cut" : "kill")} {(after ? "after" : "before")}";
}
