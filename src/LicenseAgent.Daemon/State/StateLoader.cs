using LicenseAgent.Core;
using LicenseAgent.Daemon.Metrics;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Tpm;

namespace LicenseAgent.Daemon.State;

/// <summary>What the state directory and the TPM hold together at start.</summary>
internal abstract record LoadedState
{
    private LoadedState()
    {
    }

    /// <summary>The state that belongs to the TPM's generation.</summary>
    public sealed record Good(BoundState Bound) : LoadedState;

    /// <summary>Enrolled, and the first generation was never written.</summary>
    public sealed record Fresh(long Counter) : LoadedState;

    /// <summary>No file belongs to the TPM's generation.</summary>
    public sealed record Unusable(LockReason Reason, long Counter, long Highest) : LoadedState;
}

/// <summary>Finds the state at start, and carries on a generation that a crash interrupted.</summary>
internal sealed class StateLoader(IStateFiles files, ITpmMemory memory, StateStore store)
{
    /// <summary>The run state; one that cannot be read is worth nothing and costs nothing but time.</summary>
    /// <returns>And whether a file was there that could not be read.</returns>
    public async Task<(RunFile Run, bool Damaged)> ReadRunAsync(CancellationToken cancel)
    {
        RunFile empty = new(RunFile.CurrentFormat, RunState.Empty, CounterState.Empty);
        if (await files.ReadAsync(RunFile.Name, cancel) is not { } bytes)
        {
            return (empty, false);
        }

        try
        {
            return (StateJson.Read(bytes, StateJson.Strict.RunFile, RunFile.Name, RunFile.CurrentFormat), false);
        }
        catch (ProtocolException)
        {
            return (empty, true);
        }
    }

    public async Task<LoadedState> LoadAsync(AgentFile agent, CancellationToken cancel)
    {
        long counter = await memory.ReadCounterAsync(cancel);
        NvSlot? even = await memory.ReadSlotAsync(0, cancel);
        NvSlot? odd = await memory.ReadSlotAsync(1, cancel);
        NvSlot? current = counter % 2 == 0 ? even : odd;
        NvSlot? following = counter % 2 == 0 ? odd : even;
        Candidate? staged = await ReadCandidateAsync(StateStore.NewName, cancel);
        if (staged is not null && staged.Belongs(counter + 1, following, agent.AgentId))
        {
            // File and slot of the next generation are durable; only the increment and the rename are missing.
            long after = await memory.IncrementCounterAsync(cancel);
            if (after != counter + 1)
            {
                throw new GenerationContradiction($"The TPM's counter went from {counter} to {after}.");
            }

            await store.FinishAsync(staged.Bytes, cancel);
            return new LoadedState.Good(staged.State);
        }

        Candidate?[] candidates =
        [
            await ReadCandidateAsync(StateStore.StateName, cancel), staged,
            await ReadCandidateAsync(StateStore.BackupName, cancel),
        ];
        foreach (Candidate? candidate in candidates)
        {
            if (candidate is not null && candidate.Belongs(counter, current, agent.AgentId))
            {
                await RestoreAsync(candidate, candidates[0], cancel);
                return new LoadedState.Good(candidate.State);
            }
        }

        bool nothing = Array.TrueForAll(candidates, c => c is null);
        if (candidates is [null, _, null] && counter == agent.Counter)
        {
            // A crash came in the middle of the first one: its file may be there, and the TPM knows nothing of it.
            return new LoadedState.Fresh(counter);
        }

        long highest = Math.Max(Math.Max(Version(even), Version(odd)), agent.Highest);
        return new LoadedState.Unusable(
            nothing ? LockReason.StateCorrupt : LockReason.StateRollback, counter,
            RaisedBy(candidates, agent.AgentId, highest));
    }

    /// <summary>
    /// A file that the TPM does not know may be newer than the TPM: what it has seen is never accepted again. It may
    /// raise the highest no further than a server may, or whoever writes it could burn all versions there are.
    /// </summary>
    private static long RaisedBy(Candidate?[] candidates, string agentId, long highest)
    {
        long named = candidates.OfType<Candidate>().Where(c => c.State.AgentId == agentId)
            .Select(c => c.State.HighestVersionSeen).DefaultIfEmpty().Max();
        return Math.Clamp(named, highest, highest + AgentApiLimits.VersionJump);
    }

    private async Task RestoreAsync(Candidate good, Candidate? first, CancellationToken cancel)
    {
        if (!ReferenceEquals(good, first))
        {
            await store.FinishAsync(good.Bytes, cancel);
        }
    }

    private async Task<Candidate?> ReadCandidateAsync(string name, CancellationToken cancel)
    {
        if (await files.ReadAsync(name, cancel) is not { } bytes)
        {
            return null;
        }

        try
        {
            BoundState state = StateJson.Read(bytes, StateJson.Strict.BoundState, name, BoundState.CurrentFormat);
            return new Candidate(state, bytes);
        }
        catch (ProtocolException)
        {
            // Torn or damaged: one of the other two files is tried, and if none fits the agent says so and is repaired.
            return null;
        }
    }

    private static long Version(NvSlot? slot) => slot is null ? 0 : (long)slot.Version;

    private sealed record Candidate(BoundState State, byte[] Bytes)
    {
        public bool Belongs(long generation, NvSlot? slot, string agentId) =>
            State.Generation == generation && State.AgentId == agentId && slot is not null
            && slot.Generation == (ulong)generation
            && Digest32.From(slot.StateHash.Span) == Digest32.Sha256(Bytes);
    }
}
