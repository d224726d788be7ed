using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World;
using Xunit;

namespace LicenseAgent.SimTests.World;

/// <summary>A server whose certificate is not good is no server, and one that is good again is one at once.</summary>
public sealed class ServerCertificateTests
{
    private const long AtS = 20_000;
    private const long ForS = 10 * 3_600;
    private const long EndedS = AtS + 3_600;

    [Theory]
    [InlineData(0, "tls_expired")]
    [InlineData(1, "tls_chain")]
    public void Nothing_is_sent_to_it_until_it_has_another(long what, string reason)
    {
        RunOutcome run = Run(new PlannedFault(1, AtS, ForS, "", FaultKinds.ServerCertificate, what));
        Assert.True(run.IsClean, $"{string.Join('\n', run.Violations)}{run.Escape}");
        long[] refused = [.. run.History.OfType<CertificateRefused>().Select(r => r.AtUs / 1_000_000)];
        Assert.NotEmpty(refused);
        Assert.All(run.History.OfType<CertificateRefused>(), r => Assert.Equal(reason, r.Reason));
        Assert.All(refused, at => Assert.InRange(at, AtS, AtS + ForS));
        long[] heard = [.. run.History.OfType<Received>().Select(r => r.AtUs / 1_000_000)];
        Assert.DoesNotContain(heard, at => at > refused[0] && at < AtS + ForS);
        Assert.Contains(heard, at => at > AtS + ForS);
        Assert.Contains(run.History.OfType<Seen>(), s => s.Mode == "OFFLINE");
    }

    [Fact]
    public void A_till_that_cannot_prove_the_time_takes_what_may_have_ended()
    {
        // It starts without having heard of a time since the end: what it can prove is older.
        RunOutcome run = Run(
            new PlannedFault(1, AtS, ForS, SimWorld.NameOf(1), FaultKinds.PowerCut),
            new PlannedFault(2, EndedS, ForS, "", FaultKinds.ServerCertificate));
        Assert.True(run.IsClean, $"{string.Join('\n', run.Violations)}{run.Escape}");
        Assert.Contains(run.History.OfType<Received>(), r => r.AtUs / 1_000_000 is >= AtS + ForS and < EndedS + ForS);
    }

    private static RunOutcome Run(params PlannedFault[] faults) => Runner.Run(new Plan(
        Plan.CurrentFormat, 4, "certificate", 1, 24, new Knobs(OfflineS: 7_200), faults, []));
}
