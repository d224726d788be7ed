namespace LicenseAgent.Testbed.Processes;

/// <summary>What .NET takes from the environment alone, as the README asks of whoever starts the services.</summary>
public static class RuntimeVariables
{
    /// <summary>
    /// No door for debuggers; and garbage up to 4 MiB, where the runtime's own measure is the processor's cache, which
    /// may be hundreds.
    /// </summary>
    public static IReadOnlyDictionary<string, string> OfAService { get; } = new Dictionary<string, string>
    {
        ["DOTNET_EnableDiagnostics"] = "0",
        ["DOTNET_GCgen0size"] = "0x400000",
    };
}
