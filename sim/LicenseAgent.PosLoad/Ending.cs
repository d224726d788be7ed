using System.ComponentModel;
using System.Data.Common;
using System.Net.Sockets;
using LicenseAgent.PosLoad.Scenarios;

namespace LicenseAgent.PosLoad;

/// <summary>How a run ended that did not come to its report.</summary>
internal sealed record Ending(int Code, string Message)
{
    private const int Interrupted = 130;

    /// <returns><see langword="null"/>: a bug, which is to show its stack.</returns>
    public static Ending? Of(Exception e, bool stopped) => e switch
    {
        ScenarioException => new Ending(LoadCommand.ExitUsage, e.Message),
        OperationCanceledException when stopped => new Ending(Interrupted, "Stopped; nothing is left behind."),
        DbException or IOException or UnauthorizedAccessException or TimeoutException or SocketException
            or InvalidOperationException or Win32Exception =>
            new Ending(LoadCommand.ExitBroken, $"The run broke off and proves nothing: {e.Message}"),
        _ => null,
    };
}
