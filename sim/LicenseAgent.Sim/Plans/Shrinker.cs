using System.Diagnostics;
using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.World;

namespace LicenseAgent.Sim.Plans;

/// <summary>
/// Makes a plan that breaks an invariant smaller while it still breaks the same one: fewer faults and orders (ddmin),
/// fewer tills, less time. Streams of chance belong to nodes and concerns, so what stays is not moved by what goes.
/// </summary>
internal sealed class Shrinker(string invariant, TimeSpan budget)
{
    private readonly Stopwatch _watch = Stopwatch.StartNew();

    /// <summary>Runs made.</summary>
    public int Tries { get; private set; }

    public Plan Shrink(Plan plan)
    {
        Plan smallest = plan;
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

    private bool IsOver => _watch.Elapsed > budget;

    private static int SizeOf(Plan plan) => plan.Tills + plan.Faults.Count + plan.Orders.Count + plan.Hours;

    private bool Breaks(Plan plan)
    {
        Tries++;
        return !IsOver && Runner.Run(plan).Violations.Any(v => v.Id == invariant);
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
