using LicenseAgent.Client;
using LicenseAgent.Testbed.Processes;

namespace LicenseAgent.Chaos.Sweep;

/// <summary>
/// A golden scenario: the till it begins with, the operation that is struck, and what must be true when it is over.
/// </summary>
/// <param name="Prepare">Rotations between enrolment and the snapshot; none: the till is not enrolled either.</param>
/// <param name="Operate">What an operator or an application asks for; it may be cut off.</param>
/// <param name="ActiveAfter">The version that is ACTIVE on both sides in the end.</param>
/// <param name="OutOfUse">The version that opens nothing in the end, if any.</param>
internal sealed record Scenario(
    string Name, bool Enrolled, int Prepare, Func<SweepTill, CancellationToken, Task> Operate,
    long ActiveAfter, long? OutOfUse = null)
{
    public static readonly IReadOnlyList<Scenario> All =
    [
        new("enrol", Enrolled: false, 0, (till, cancel) => till.EnrolAsync(cancel), ActiveAfter: 1),
        new("rotate", Enrolled: true, 0, (till, cancel) => till.Operator.RotateAsync(cancel), ActiveAfter: 2),
        new("retire", Enrolled: true, 1,
            (till, cancel) => till.Operator.InvalidateAsync(1, force: false, cancel), ActiveAfter: 2, OutOfUse: 1),
        new("audit", Enrolled: true, 0, FullLog.OverflowAsync, ActiveAfter: 1)
        {
            Shape = FullLog.Shape, Fill = FullLog.FillAsync, Later = FullLog.Later, IsOver = FullLog.IsOver,
            ToldOf = new AuditedTransition("segment_retired", "segment-1", "ok"),
        },
    ];

    /// <summary>What its configuration differs in.</summary>
    public Func<TillSettings, TillSettings> Shape { get; init; } = settings => settings;

    /// <summary>What else is done before the snapshot.</summary>
    public Func<SweepTill, CancellationToken, Task> Fill { get; init; } = (_, _) => Task.CompletedTask;

    /// <summary>How long after the snapshot the points are, by the clock of the boot.</summary>
    public TimeSpan Later { get; init; }

    /// <summary>What must have come of the files, beside the secrets.</summary>
    public Func<TillFolder, bool> IsOver { get; init; } = _ => true;

    /// <summary>What the log must tell of once in the end, if anything beside the secrets.</summary>
    public AuditedTransition? ToldOf { get; init; }

    /// <summary>Makes the workplace that every point begins on a copy of.</summary>
    public async Task<Snapshot> PrepareAsync(CancellationToken cancel)
    {
        SweepTill till = await SweepTill.OpenAsync(new Workplace(), this, [], cancel);
        try
        {
            List<string> tokens = [];
            if (Enrolled)
            {
                await till.StartAgentAsync(cancel);
                await till.EnrolAsync(cancel);
                await till.AgreementAsync(cancel, active: 1);
                tokens.Add(await till.IssueAsync(cancel));
                for (int version = 2; version <= Prepare + 1; version++)
                {
                    await till.Operator.RotateAsync(cancel);
                    await till.AgreementAsync(cancel, version);
                    tokens.Add(await till.IssueAsync(cancel));
                }

                till.Tokens = tokens;
                await Fill(till, cancel);
            }

            return new Snapshot(await till.FreezeAsync(cancel), tokens);
        }
        catch (Exception)
        {
            await till.DisposeAsync();
            throw;
        }
    }

    /// <summary>Asks for the operation as an operator does: the call may be cut off, the agent goes on by
    /// itself.</summary>
    /// <returns>Why it was cut off; null when it was answered.</returns>
    public async Task<string?> AskAsync(SweepTill till, CancellationToken cancel)
    {
        try
        {
            await Operate(till, cancel);
            return null;
        }
        catch (AgentException e)
        {
            return e.Message;
        }
    }
}

/// <summary>A prepared workplace at rest.</summary>
/// <param name="Tokens">One under each version, from 1.</param>
internal sealed record Snapshot(Workplace Place, IReadOnlyList<string> Tokens) : IDisposable
{
    public void Dispose() => Place.Dispose();
}
