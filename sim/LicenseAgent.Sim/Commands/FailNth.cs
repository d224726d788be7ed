using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.Report;
using LicenseAgent.Sim.World;

namespace LicenseAgent.Sim.Commands;

/// <summary>
/// Golden scenarios with the process killed (or the power cut) before and after the k-th call of a port, or with the
/// k-th step of the disk, command of the TPM, or answer of the server failing, for k = 1, 2, … until a run makes no k-th
/// call within the scenario any more. Every point is walked, not drawn.
/// </summary>
internal static class FailNth
{
    private static readonly Knobs Quick = new(PosEveryS: 300, RotationS: 1_800, GraceS: 21_600);

    /// <summary>As the command line has them.</summary>
    public static IReadOnlyDictionary<string, Blow> Names { get; } = new Dictionary<string, Blow>(StringComparer.Ordinal)
    {
        ["kill-before"] = Blow.KillBefore,
        ["kill-after"] = Blow.KillAfter,
        ["power-before"] = Blow.PowerCutBefore,
        ["power-after"] = Blow.PowerCutAfter,
        ["disk"] = Blow.DiskFails,
        ["tpm"] = Blow.TpmFails,
        ["tpm-answer"] = Blow.TpmAnswerLost,
        ["answer"] = Blow.AnswerLost,
    };

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
                new(8, 2_900, SimWorld.NameOf(1), OrderKinds.LimitGrace),
                new(9, 3_000, SimWorld.NameOf(1), OrderKinds.InvalidateAtConfirm),
                new(10, 3_100, SimWorld.NameOf(1), OrderKinds.Rotate),
            ]),
    ];

    /// <param name="first">The call to begin with.</param>
    /// <param name="every">Walks every n-th call only: a sample.</param>
    /// <param name="limit">No call after it.</param>
    /// <param name="only">What falls; all of them in turn where nothing is named.</param>
    /// <returns>The worst of the exit codes.</returns>
    public static int Walk(
        string? scenario, Blow? only, int first, int every, int limit, FailurePages pages, TextWriter output)
    {
        pages.MakeFolder();
        int runs = 0, broken = 0, worst = ExitCodes.Ok;
        foreach (Plan golden in Golden.Where(g => scenario is null || g.Profile == scenario))
        {
            foreach (Blow blow in Enum.GetValues<Blow>().Where(b => only is null || b == only))
            {
                int k = first;
                bool fell = true;
                for (; fell && k <= limit; k += every, runs++)
                {
                    (RunOutcome run, fell) = With(golden, k, blow);
                    if (!run.IsClean)
                    {
                        broken++;
                        worst = Math.Max(worst, Tell(golden, blow, k, run, pages, output));
                    }
                }

                output.WriteLine(
                    $"{golden.Profile}: {Text(blow)} {k - every}, {(every == 1 ? "each" : $"every {every}th")}");
                output.Flush();
            }
        }

        output.WriteLine($"{runs} runs, {broken} broken");
        return worst;
    }

    /// <summary>One call of a walk again.</summary>
    public static int Once(string scenario, Blow blow, int call, FailurePages pages, TextWriter output)
    {
        pages.MakeFolder();
        Plan golden = Golden.First(g => g.Profile == scenario);
        (RunOutcome run, bool fell) = With(golden, call, blow);
        if (!fell && run.Escape is null)
        {
            throw new PlanException($"{scenario} is over before {Text(blow)} {call}.");
        }

        return Tell(golden, blow, call, run, pages, output);
    }

    internal static int Tell(Plan golden, Blow blow, int call, RunOutcome run, FailurePages pages, TextWriter output)
    {
        string name = Names.First(n => n.Value == blow).Key;
        string repro = Repro.OfCall(golden.Profile, name, call);
        output.WriteLine($"{golden.Profile}: {Text(blow)} {call}");
        pages.Add($"failnth-{golden.Profile}-{name}-{call}", run, repro);
        return PlanCommands.Tell(run, repro, output);
    }

    /// <returns>The run, and whether there was a k-th call.</returns>
    public static (RunOutcome Run, bool Fell) With(Plan golden, int k, Blow blow)
    {
        bool fell = false;
        long length = golden.Hours * 3_600L;
        string? fault = FaultOf(blow);
        Plan plan = fault is null ? golden : golden with
        {
            Faults = [new PlannedFault(1, 0, length, SimWorld.NameOf(1), fault, k, HowOf(blow))],
        };
        RunOutcome run = Runner.Run(plan, world =>
        {
            SimTill till = world.Tills[0];
            if (fault is not null)
            {
                // Before the fault is ended, which forgets it.
                world.Loop.At((length * 1_000_000L) - 1, () => fell = !Waits(till, blow));
                return;
            }

            till.CrashAt(new CrashPoint(k, After: blow is Blow.KillAfter or Blow.PowerCutAfter), _ =>
            {
                fell = true;
                if (blow is Blow.PowerCutBefore or Blow.PowerCutAfter)
                {
                    till.PowerCut();
                }

                world.Loop.After(1_000_000, till.Start);
            });
            world.Loop.At(length * 1_000_000L, till.CrashNever);
        });
        return (run, fell);
    }

    // What happens by a plan is replayed by it.
    private static string? FaultOf(Blow blow) => blow switch
    {
        Blow.DiskFails => FaultKinds.DiskFailsOnce,
        Blow.TpmFails or Blow.TpmAnswerLost => FaultKinds.TpmFailsOnce,
        Blow.AnswerLost => FaultKinds.AnswerLost,
        _ => null,
    };

    private static long HowOf(Blow blow) => blow switch
    {
        Blow.TpmFails => 1,
        Blow.TpmAnswerLost => 2,
        _ => 0,
    };

    private static bool Waits(SimTill till, Blow blow) => blow switch
    {
        Blow.DiskFails => till.Disk.Troubles.FailAtStep.IsArmed,
        Blow.TpmFails or Blow.TpmAnswerLost => till.Tpm.Troubles.FailAtCommand.IsArmed,
        _ => till.Link.LoseAnswer.IsArmed,
    };

    private static string Text(Blow blow) => blow switch
    {
        Blow.KillBefore => "kill before call",
        Blow.KillAfter => "kill after call",
        Blow.PowerCutBefore => "power cut before call",
        Blow.PowerCutAfter => "power cut after call",
        Blow.DiskFails => "a failing disk at step",
        Blow.TpmFails => "a failing TPM at command",
        Blow.TpmAnswerLost => "a TPM's answer lost, command",
        _ => "an answer lost, number",
    };
}

/// <summary>What falls on a till at the k-th call.</summary>
internal enum Blow
{
    KillBefore,
    KillAfter,
    PowerCutBefore,
    PowerCutAfter,

    /// <summary>The k-th write, rename or fsync fails with EIO, once; the process goes on.</summary>
    DiskFails,

    /// <summary>The k-th command of the TPM is not answered and has done nothing, once.</summary>
    TpmFails,

    /// <summary>The k-th command of the TPM has done what it does and is not answered, once.</summary>
    TpmAnswerLost,

    /// <summary>The k-th answer of the server is lost, once.</summary>
    AnswerLost,
}
