using LicenseAgent.Client;
using LicenseAgent.Testbed.Processes;

namespace LicenseAgent.Chaos.Sweep;

/// <summary>
/// A golden scenario: the till it begins with, the operation that is struck, and what must be true when it is over.
/// </summary>
/// <param name="Prepare">Rotations between enrolment and the snapshot; none: the till is not enrolled either.</param>
/// <param name="Operate">What an operator asks for; it may be cut off.</param>
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
    ];

    /// <summary>Makes the workplace that every point begins on a copy of.</summary>
    public async Task<Snapshot> PrepareAsync(CancellationToken cancel)
    {
        SweepTill till = await SweepTill.OpenAsync(new Workplace(), cancel);
        try
        {
            List<string> tokens = [];
            if (Enrolled)
            {
                await till.StartAgentAsync(cancel);
                await till.EnrolAsync(cancel);
                await till.AgreementAsync(cancel, active: 1);
                tokens.Add(await IssueAsync(till, cancel));
                for (int version = 2; version <= Prepare + 1; version++)
                {
                    await till.Operator.RotateAsync(cancel);
                    await till.AgreementAsync(cancel, version);
                    tokens.Add(await IssueAsync(till, cancel));
                }
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

    /// <summary>A token under the version the server mints with.</summary>
    public static async Task<string> IssueAsync(SweepTill till, CancellationToken cancel)
    {
        string? token = null;
        await SweepTill.UntilAsync(
            async () =>
            {
                try
                {
                    token = await till.Server.IssueAsync(SweepTill.Name);
                    return true;
                }
                catch (LicenseServer.Agents.OrderRefusedException)
                {
                    // The server mints when a check-in has named the version held.
                    return false;
                }
            },
            () => "the server never minted a license", cancel);
        return token!;
    }
}

/// <summary>A prepared workplace at rest.</summary>
/// <param name="Tokens">One under each version, from 1.</param>
internal sealed record Snapshot(Workplace Place, IReadOnlyList<string> Tokens) : IDisposable
{
    public void Dispose() => Place.Dispose();
}
