using LicenseAgent.Sim.Kernel;

namespace LicenseAgent.Sim.History;

/// <summary>Everything that happened in a run, in order.</summary>
internal sealed class Chronicle(TraceHash trace)
{
    private readonly List<Happening> _all = [];

    public IReadOnlyList<Happening> All => _all;

    public void Add(Happening happened)
    {
        _all.Add(happened);
        trace.Add(happened.ToString());
    }
}
