using LicenseAgent.Sim.Kernel;

namespace LicenseAgent.SimTests.World;

/// <summary>
/// One simulated process whose ports a test calls from outside: time goes on until a call has its answer, so that a test
/// written for the real thing runs on, on the loop's thread.
/// </summary>
internal sealed class PortBench(SimLoop loop)
{
    private const long PieceUs = 100_000;
    private const int PiecesMax = 600;
    private const long StepsMax = 10_000;

    public PortBench()
        : this(new SimLoop(1))
    {
    }

    public SimLoop Loop { get; } = loop;

    public Life Life { get; } = new(
        loop, new SimContext(loop, 1, "bench"), at => throw new InvalidOperationException($"Nobody planned {at}."));

    public SimRandom Chance { get; } = SimRandom.Of(1, "bench", "chance");

    public T Settle<T>(T call)
        where T : Task
    {
        for (int i = 0; i < PiecesMax && !call.IsCompleted; i++)
        {
            Loop.RunUntil(Loop.NowUs + PieceUs, StepsMax);
        }

        return call.IsCompleted ? call : throw new InvalidOperationException("The call has no answer.");
    }
}
