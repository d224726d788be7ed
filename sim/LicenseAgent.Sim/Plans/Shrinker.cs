using System.Diagnostics;
using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.World;

namespace LicenseAgent.Sim.Plans;

/// <summary>
/// Makes a plan that breaks an invariant smaller while it still breaks the same one: fewer faults and orders (ddmin),
/// fewer tills, less time. Streams of chance belong to nodes and concerns, so what stays is not moved by what goes.
/// </summary>
/// <param name="breaks">Whether a plan still breaks the same invariant.</param>
internal sealed class Shrinker(Func<Plan, bool> breaks, TimeSpan budget)
{
    private readonly Stopwatch _watch = Stopwatch.StartNew();

    /// <summary>Runs made.</summary>
    public int Tries { get; private set; }

    /// <summary>Of a finding made by running.</summary>
    public static Shrinker For(string invariant, TimeSpan budget) =>
        new(plan => Runner.Run(plan).Violations.Any(v => v.Id == invariant), budget);

    /// <param name="atUs">When it broke; what comes later is cut off first.</param>
    public Plan Shrink(Plan plan, long atUs)
    {
        Plan smallest = UntilThen(plan, atUs);
        int size;
        do
        {
            size = SizeOf(smallest);
            smallest = FewerTills(smallest);
            Plan before = smallest;
            smallest = smallest with
            {
                Faults = Fewer(before.Faults, faults => before with { Faults = faults }),
            };
            Plan withFaults = smallest;
            smallest = smallest with
            {
                Orders = Fewer(withFaults.Orders, orders => withFaults with { Orders = orders }),
            };
            smallest = Shorter(smallest);
        }
        while (SizeOf(smallest) < size && !IsOver);
        return smallest;
    }

    private Plan UntilThen(Plan plan, long atUs)
    {
        long seconds = Math.Min(atUs / 1_000_000, plan.Hours * 3_600L);
        Plan until = plan with
        {
            Hours = (int)Math.Min(plan.Hours, (seconds / 3_600) + 1),
            Faults = [.. plan.Faults.Where(f => f.AtS <= seconds)],
            Orders = [.. plan.Orders.Where(o => o.AtS <= seconds)],
        };
        return SizeOf(until) < SizeOf(plan) && Breaks(until) ? until : plan;
    }

    private bool IsOver => _watch.Elapsed > budget;

    private static int SizeOf(Plan plan) => plan.Tills + plan.Faults.Count + plan.Orders.Count + plan.Hours;

    private bool Breaks(Plan plan)
    {
        Tries++;
        return !IsOver && breaks(plan);
    }

    /// <summary>ddmin: takes away halves, then quarters, and so on down to single items.</summary>
    private List<T> Fewer<T>(IReadOnlyList<T> items, Func<IReadOnlyList<T>, Plan> with)
    {
        if (items.Count > 0 && Breaks(with([])))
        {
            return [];
        }

        List<T> kept = [.. items];
        for (int chunk = Math.Max(1, kept.Count / 2); kept.Count > 0; chunk /= 2)
        {
            for (int at = 0; at < kept.Count;)
            {
                List<T> fewer = [.. kept.Take(at), .. kept.Skip(at + chunk)];
                if (Breaks(with(fewer)))
                {
                    kept = fewer;
                }
                else
                {
                    at += chunk;
                }
            }

            if (chunk == 1)
            {
                break;
            }
        }

        return kept;
    }

    private Plan FewerTills(Plan plan)
    {
        for (int tills = 1; tills < plan.Tills; tills++)
        {
            Plan fewer = plan with
            {
                Tills = tills,
                Faults = [.. plan.Faults.Where(f => Exists(f.Till, tills))],
                Orders = [.. plan.Orders.Where(o => Exists(o.Till, tills))],
            };
            if (Breaks(fewer))
            {
                return fewer;
            }
        }

        return plan;
    }

    private Plan Shorter(Plan plan)
    {
        foreach (int divisor in (int[])[8, 4, 2])
        {
            Plan shorter = plan with { Hours = Math.Max(1, plan.Hours / divisor) };
            if (shorter.Hours < plan.Hours && Breaks(shorter))
            {
                return shorter;
            }
        }

        return plan;
    }

    private static bool Exists(string till, int tills) =>
        till.Length == 0 || Enumerable.Range(1, tills).Any(i => SimWorld.NameOf(i) == till);
}
