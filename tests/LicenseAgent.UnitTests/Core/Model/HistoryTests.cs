using Xunit;

namespace LicenseAgent.UnitTests.Core.Model;

/// <summary>
/// Random histories of one till and its server, thousands of them, each replayable by profile and seed: after every
/// step the invariants hold, and when nothing goes wrong any more both sides agree before long.
/// </summary>
public sealed class HistoryTests
{
    private const int Histories = 300;
    private const int StepsEach = 120;

    public static TheoryData<Faults> Profiles() => new(
        Faults.None,
        Faults.Network,
        Faults.Network | Faults.Kills,
        Faults.Network | Faults.Kills | Faults.Storage,
        Faults.Network | Faults.Kills | Faults.Tpm | Faults.Time,
        Faults.Network | Faults.Kills | Faults.Storage | Faults.Tpm | Faults.Time,
        Faults.Network | Faults.Orders | Faults.Time,
        Faults.Network | Faults.Kills | Faults.Orders | Faults.Storage | Faults.Tpm | Faults.Time,
        Faults.Network | Faults.Kills | Faults.Restores | Faults.Time,
        Faults.Network | Faults.Kills | Faults.Files | Faults.Time,
        Faults.Network | Faults.Kills | Faults.Storage | Faults.Tpm | Faults.Time | Faults.Orders | Faults.Restores
            | Faults.Files);

    [Theory]
    [MemberData(nameof(Profiles))]
    public void Whatever_goes_wrong_the_invariants_hold_and_it_heals(Faults faults)
    {
        for (int seed = 1; seed <= Histories; seed++)
        {
            Replay(faults, seed);
        }
    }

    private static void Replay(Faults faults, int seed)
    {
        ModelWorld world = new(seed, faults);
        try
        {
            world.Begin();
            world.Run(StepsEach);
            world.Heal();
        }
        catch (Exception e) when (e is Xunit.Sdk.XunitException or LicenseAgent.Core.InvariantBroken)
        {
            throw new InvalidOperationException(
                $"Seed {seed} of {faults}: {e.Message}\n{string.Join('\n', world.Story)}\n{world.Till}", e);
        }
    }
}
