using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.Commands;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;
using Xunit;

namespace LicenseAgent.SimTests;

/// <summary>A crash at a certain call of a port.</summary>
public sealed class CrashPointTests
{
    private static readonly Plan s_enrol = FailNth.Golden.Single(plan => plan.Profile == "enrol");

    // At this call a nonce was accepted within the 100 ms that a power cut may forget: I11 has to know of the cut.
    private const int SoonAfterANonce = 144;

    [Theory]
    [InlineData(true, true)]
    [InlineData(false, false)]
    public void What_is_forgotten_with_the_power_is_told_from_a_kill(bool power, bool cut)
    {
        (RunOutcome run, bool fell) = FailNth.With(s_enrol, SoonAfterANonce, after: false, power);

        Assert.Equal((true, true), (fell, run.IsClean));
        Assert.Equal(cut, run.History.OfType<Ended>().Any(ended => ended.How == EndOf.PowerCut));
    }
}
