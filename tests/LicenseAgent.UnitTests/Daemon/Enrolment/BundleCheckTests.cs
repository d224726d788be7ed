using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Enrolment;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.UnitTests.Core;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Enrolment;

/// <summary>
/// Which bundles a till takes. It began as a till with a clock ten years ahead that took none: "The bundle expired".
/// </summary>
public sealed class BundleCheckTests
{
    private static readonly UtcTime Proven = Given.Time("2026-01-01T00:00:00.000Z");

    private static readonly EnrollmentBundle Good = new(
        1, "pos-001", "https://localhost:8443", "localhost",
        ["sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="], "MAA", new KeysetPin(1, default), default,
        Proven + TimeSpan.FromHours(24));

    [Theory]
    [InlineData(1, true)]
    [InlineData(0, false)]
    [InlineData(-1, false)]
    public void Its_end_is_judged_by_what_is_proven(int ms, bool taken)
    {
        EnrollmentBundle bundle = Good with { ExpiresAt = Proven + TimeSpan.FromMilliseconds(ms) };
        Assert.Equal(taken, Record.Exception(() => Require(bundle)) is null);
    }

    [Fact]
    public void One_for_another_agent_than_the_configured_one_is_not_taken() =>
        Assert.Contains("pos-001", Assert.Throws<BundleException>(() => Require(Good, "pos-002")).Message,
            StringComparison.Ordinal);

    [Theory]
    [InlineData("format")]
    [InlineData("agent_id")]
    [InlineData("server_url")]
    [InlineData("pins")]
    [InlineData("ca_cert")]
    public void What_is_wrong_with_it_is_named(string member)
    {
        EnrollmentBundle bundle = member switch
        {
            "format" => Good with { Format = 2 },
            "agent_id" => Good with { AgentId = "POS 1" },
            "server_url" => Good with { ServerUrl = "http://localhost" },
            "pins" => Good with { Pins = ["sha256:AAAA"] },
            _ => Good with { CaCert = "!" },
        };
        Assert.Contains(member, Assert.Throws<BundleException>(() => Require(bundle)).Message, StringComparison.Ordinal);
    }

    private static void Require(EnrollmentBundle bundle, string? configured = null) => BundleCheck.Require(
        bundle,
        new AgentConfig(
            null!, new IdentityConfig(configured, default, default, default, default), null!, null!, null!, null!, null!,
            null!, null!),
        Proven);
}
