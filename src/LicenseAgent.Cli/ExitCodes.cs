using LicenseAgent.Client;

namespace LicenseAgent.Cli;

/// <summary>What scripts branch on.</summary>
internal static class ExitCodes
{
    public const int Ok = 0;

    /// <summary>The answer is no: an invalid license, a log with findings, a failed rotation, a refusal.</summary>
    public const int No = 1;

    public const int Usage = 2;
    public const int Unreachable = 3;
    public const int NotPermitted = 4;
    public const int Internal = 5;

    /// <summary>Interrupted, as shells number it.</summary>
    public const int Interrupted = 130;

    public static int Of(AgentFault fault) => fault switch
    {
        AgentFault.Unreachable or AgentFault.Busy => Unreachable,
        AgentFault.NotPermitted => NotPermitted,
        AgentFault.Refused => No,
        _ => Internal,
    };
}

/// <summary>What was given on the command line cannot be used; the message says what to give instead.</summary>
internal sealed class UsageException(string message) : Exception(message);
