using Xunit;

namespace LicenseAgent.UnitTests.Server;

public sealed class RotationModelTests
{
    private const int Seeds = 20_000;

    /// <summary>I03, I06, I08 on the server's side.</summary>
    [Fact]
    public void No_history_makes_two_ACTIVE_reuses_a_number_mints_what_was_never_held_or_fails_to_heal()
    {
        for (var seed = 0; seed < Seeds; seed++) new RotationModel(seed).Run(steps: 10 + (seed % 50));
    }
}
