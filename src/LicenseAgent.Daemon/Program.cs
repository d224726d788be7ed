using System.Globalization;
using System.Reflection;
using LicenseAgent.Daemon.Adapters;
using LicenseAgent.Daemon.Adapters.Files;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Logging;
using LicenseAgent.Protocol.Encoding;
using Microsoft.Extensions.Logging;

namespace LicenseAgent.Daemon;

/// <summary><c>license-agent [--config FILE] [--check-config]</c>: parse, validate, build, run, exit code.</summary>
internal static class Program
{
    private const string Usage = "usage: license-agent [--config FILE] [--check-config] [--version]";

    public static string Version { get; } = typeof(Program).Assembly.GetName().Version!.ToString(3);

    /// <summary>When this program was built, as the build wrote it into the assembly.</summary>
    public static UtcTime BuildTime { get; } = UtcTime.From(DateTimeOffset.Parse(
        typeof(Program).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
            .Single(a => a.Key == "BuildTime").Value!,
        CultureInfo.InvariantCulture));

    public static async Task<int> Main(string[] args)
    {
        string file = ConfigFile.DefaultPath;
        bool check = false;
        for (int i = 0; i < args.Length; i++)
        {
            switch (args[i])
            {
                case "--config" when i + 1 < args.Length: file = args[++i]; break;
                case "--check-config": check = true; break;
                case "--version": await Console.Out.WriteLineAsync(Version); return DaemonHost.ExitOk;
                default: await Console.Error.WriteLineAsync(Usage); return DaemonHost.ExitUsage;
            }
        }

        ConfigOutcome outcome = ConfigFile.Load(file);
        if (check || outcome.Config is null)
        {
            return ConfigReport.Write(check ? Console.Out : Console.Error, file, outcome);
        }

        using ILoggerFactory logs = LogSetup.Create(LogSetup.StyleOf(
            Environment.GetEnvironmentVariable("JOURNAL_STREAM"), Console.IsOutputRedirected));
        using DaemonHost host = new(outcome.Config, file, logs);
        return await host.RunAsync();
    }
}
