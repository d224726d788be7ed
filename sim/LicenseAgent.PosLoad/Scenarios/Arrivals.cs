namespace LicenseAgent.PosLoad.Scenarios;

/// <summary>
/// The intended send times of one worker, in nanoseconds from the start: an open model, decided before anything is
/// known of the answers. One of <c>workers</c> equal parts of the load; the parts of a constant rate interleave.
/// </summary>
/// <param name="seed">Of the Poisson arrivals; the same seed gives the same times.</param>
internal sealed class Arrivals(IReadOnlyList<Phase> phases, int worker, int workers, int seed)
{
    private const double Nano = 1e9;
    private readonly Random _random = new(HashCode.Combine(seed, worker));

    /// <summary>Rising times.</summary>
    public IEnumerable<long> Times()
    {
        double begin = 0;
        foreach (Phase phase in phases)
        {
            foreach (double at in phase.Arrivals == "poisson" ? Poisson(phase) : Constant(phase))
            {
                yield return (long)((begin + at) * Nano);
            }

            begin += phase.Seconds;
        }
    }

    // The time at which the k-th request is due is where the integral of the rate reaches k.
    private IEnumerable<double> Constant(Phase phase)
    {
        double from = phase.From ?? phase.Rate;
        long all = (long)Math.Floor((from + phase.Rate) / 2 * phase.Seconds);
        for (long k = worker; k < all; k += workers)
        {
            yield return DueAt(k, from, phase);
        }
    }

    private static double DueAt(double k, double from, Phase phase)
    {
        double slope = (phase.Rate - from) / phase.Seconds;
        return Math.Abs(slope) < 1e-9
            ? k / from
            : (Math.Sqrt((from * from) + (2 * slope * k)) - from) / slope;
    }

    // Steps of the unit process, stretched by the integral of the rate.
    private IEnumerable<double> Poisson(Phase phase)
    {
        double from = (phase.From ?? phase.Rate) / workers;
        Phase share = phase with { Rate = phase.Rate / workers, From = from };
        double all = (from + share.Rate) / 2 * phase.Seconds;
        for (double k = Step(); k < all; k += Step())
        {
            yield return DueAt(k, from, share);
        }
    }

    private double Step() => -Math.Log(1 - _random.NextDouble());
}
