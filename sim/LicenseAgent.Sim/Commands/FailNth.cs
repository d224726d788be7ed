using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Checkers;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World;

namespace LicenseAgent.Sim.Commands;

/// <summary>
/// The golden scenario, enrol and rotate, with the process killed (or the power cut) before and after the k-th call of a
/// port, for k = 1, 2, … until a run has no k-th call any more. Every point of a crash is walked, not drawn.
/// </summary>
internal static class FailNth
{
    private static readonly Plan Golden = new(
        Plan.CurrentFormat, 7, "failnth", 1, 3, new Knobs(PosEveryS: 300, RotationS: 3_600, GraceS: 21_600), [], []);

    public static int Run(int limit, TextWriter output)
    {
        int runs = 0, broken = 0;
        foreach (bool power in (bool[])[false, true])
        {
            foreach (bool after in (bool[])[false, true])
            {
                for (int k = 1; k <= limit; k++)
                {
                    (RunOutcome run, bool fell) = With(k, after, power);
                    runs++;
                    if (!run.IsClean)
                    {
                        broken++;
                        output.WriteLine($"{(power ? "power cut" : "kill")} {(after ? "after" : "before")} call {k}: "
                            + (run.Escape?.Message ?? VirtualTime.Line(run.Violations[0])));
                    }

                    if (!fell)
                    {
                        break;
                    }
                }
            }
        }

        output.WriteLine($"{runs} runs, {broken} broken");
        return broken == 0 ? ExitCodes.Ok : ExitCodes.Violation;
    }

    /// <returns>The run, and whether there was a k-th call.</returns>
    public static (RunOutcome Run, bool Fell) With(int k, bool after, bool power)
    {
        bool fell = false;
        RunOutcome run = Runner.Run(Golden, world =>
        {
            SimTill till = world.Tills[0];
            world.Loop.At(0, () => till.CrashAt(new CrashPoint(k, after), _ =>
            {
                fell = true;
                if (power)
                {
                    till.PowerCut();
                }

                world.Loop.After(1_000_000, till.Start);
            }));
        });
        return (run, fell);
    }
}
