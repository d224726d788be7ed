using LicensePki;
using Xunit;

namespace LicenseAgent.UnitTests.Pki;

public sealed class PkiCommandTests : IDisposable
{
    private readonly ScratchDirectory _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void Dev_then_verify_answers_0()
    {
        Assert.Equal(0, Run("dev", _scratch["pki"], "--name", "till-server", "--agent", "pos-1", "--agent", "pos-2"));
        Assert.Equal(0, Run("verify", _scratch["pki"]));
        Assert.True(File.Exists(new DevTree(_scratch["pki"]).AgentCertificate("pos-2")));
    }

    [Fact]
    public void Verify_of_a_damaged_tree_answers_1()
    {
        Run("dev", _scratch["pki"]);
        File.Delete(new DevTree(_scratch["pki"]).ServerKey);
        Assert.Equal(1, Run("verify", _scratch["pki"]));
    }

    [Theory]
    [InlineData("verify")]
    [InlineData("dev", "a", "b")]
    [InlineData("nonsense")]
    [InlineData("dev", "a", "--unknown")]
    public void A_usage_error_answers_2(params string[] arguments) => Assert.Equal(2, Run(arguments));

    [Fact]
    public void Dev_over_an_existing_tree_answers_5()
    {
        Run("dev", _scratch["pki"]);
        Assert.Equal(5, Run("dev", _scratch["pki"]));
    }

    private static int Run(params string[] arguments) =>
        Commands.Run(arguments, TimeProvider.System, TextWriter.Null, TextWriter.Null);
}
