using LicenseAgent.IntegrationTests.EndToEnd;
using LicenseAgent.Testbed.Evidence;
using Xunit;

namespace LicenseAgent.IntegrationTests.Evidence;

/// <summary>
/// The log and state directory of a real agent that was enrolled, validated some hundreds of licenses over several
/// segments, rotated, was witnessed by its server and stopped. Tests change copies of it.
/// </summary>
public sealed class RealLog : IAsyncLifetime
{
    private const int Validations = 450;

    private readonly DirectoryInfo _kept = Directory.CreateTempSubdirectory("lsa-log-");

    public string State => Path.Combine(_kept.FullName, "state");

    /// <summary>The last record the server countersigned, by the run state.</summary>
    public long WitnessedSeq { get; private set; }

    public async ValueTask InitializeAsync()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        await using LiveTill till = await LiveTill.StartEnrolledAsync(
            cancel, TimeSpan.FromSeconds(2), shape: s => s with { AuditSegmentBytes = 64 * 1024, PosRate = 10_000 });
        string token = await LostAnswerTests.IssueAsync(till);
        for (int i = 0; i < Validations; i++)
            Assert.True((await till.ValidateAsync(token)).IsValid);
        await till.Operator.RotateAsync(cancel);
        TillBooks books = await till.AgreementAsync();
        long rotated = books.Run.Witnessed?.Seq ?? 0;
        await Eventually.HoldsAsync(
            () => till.Read().Run.Witnessed?.Seq > rotated + 2, "the server never witnessed the rotation", cancel);
        Assert.Equal(0, await till.StopAgentAsync());
        WitnessedSeq = till.Read().Run.Witnessed!.Seq;
        Copy(till.Folder.Logs, Path.Combine(_kept.FullName, "log"));
        Copy(till.Folder.State, State);
    }

    public ValueTask DisposeAsync()
    {
        _kept.Delete(recursive: true);
        return ValueTask.CompletedTask;
    }

    /// <summary>A copy of the log to change.</summary>
    internal LogCopy CopyLog()
    {
        string folder = Path.Combine(_kept.FullName, Path.GetRandomFileName());
        Copy(Path.Combine(_kept.FullName, "log"), folder);
        return new LogCopy(folder);
    }

    private static void Copy(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (string path in Directory.EnumerateFiles(from))
            File.Copy(path, Path.Combine(to, Path.GetFileName(path)));
    }
}
