using System.Net.Sockets;
using LicenseAgent.PosLoad;
using LicenseAgent.PosLoad.Scenarios;
using Xunit;

namespace LicenseAgent.UnitTests.PosLoad;

public sealed class EndingTests
{
    public static TheoryData<Exception, bool, int?> Ends => new()
    {
        { new ScenarioException("no rate"), false, 2 },
        { new IOException("No space left on device"), false, 5 },
        { new SocketException(), false, 5 },
        { new OperationCanceledException(), true, 130 },
        { new OperationCanceledException(), false, null },
        { new ArgumentNullException("bug"), false, null },
    };

    [Theory]
    [MemberData(nameof(Ends))]
    public void What_ended_a_run_decides_its_code_and_a_bug_shows_its_stack(Exception e, bool stopped, int? code) =>
        Assert.Equal(code, Ending.Of(e, stopped)?.Code);
}
