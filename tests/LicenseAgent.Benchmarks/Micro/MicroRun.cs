using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;

namespace LicenseAgent.Benchmarks.Micro;

/// <summary>Runs the single-call benchmarks and leaves no files.</summary>
internal static class MicroRun
{
    /// <summary>False when one of them did not run.</summary>
    public static bool Run()
    {
        string artifacts = Directory.CreateTempSubdirectory("lsa-bench-").FullName;
        try
        {
            // In this process: a generated project would be restored and built anew, outside of the lock files.
            ManualConfig config = ManualConfig.Create(DefaultConfig.Instance)
                .AddJob(Job.ShortRun.WithToolchain(InProcessEmitToolchain.Instance))
                .AddDiagnoser(MemoryDiagnoser.Default)
                .WithArtifactsPath(artifacts);
            Summary[] summaries = BenchmarkRunner.Run([typeof(TokenBenchmarks), typeof(PathBenchmarks)], config);
            return summaries.All(s => !s.HasCriticalValidationErrors && s.Reports.All(r => r.Success));
        }
        finally
        {
            Directory.Delete(artifacts, recursive: true);
        }
    }
}
