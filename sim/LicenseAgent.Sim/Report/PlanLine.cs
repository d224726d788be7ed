using System.Text.Json;
using LicenseAgent.Sim.Plans;

namespace LicenseAgent.Sim.Report;

/// <summary>A plan as one line: where it comes from, how large it is, and every knob that is not where it mostly is.</summary>
internal static class PlanLine
{
    public static string Of(Plan plan)
    {
        string knobs = string.Join(' ', Turned(plan.Knobs));
        return $"seed {plan.Seed}  {plan.Profile}  {plan.Tills} {(plan.Tills == 1 ? "till" : "tills")}  {plan.Hours} h  "
            + $"{plan.Faults.Count} faults  {plan.Orders.Count} orders  {(knobs.Length == 0 ? "no knob turned" : knobs)}";
    }

    /// <summary>Named as in a plan's file.</summary>
    private static IEnumerable<string> Turned(Knobs knobs)
    {
        JsonElement otherwise = JsonSerializer.SerializeToElement(new Knobs(), PlanJson.Default.Knobs);
        return from knob in JsonSerializer.SerializeToElement(knobs, PlanJson.Default.Knobs).EnumerateObject()
               where knob.Value.GetRawText() != otherwise.GetProperty(knob.Name).GetRawText()
               select $"{knob.Name}={knob.Value.GetRawText()}";
    }
}
