using LicenseAgent.Core;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.State;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Tpm;
using LicenseAgent.UnitTests.Core;
using LicenseAgent.UnitTests.Tidy;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.State;

/// <summary>What of files and TPM counts where no file is the one the TPM remembers.</summary>
public sealed class StateLoaderTests
{
    private const long Counter = 40;

    [Theory]
    [InlineData(StateStore.StateName, 7, 7)]
    [InlineData(StateStore.NewName, 7, 7)]
    [InlineData(StateStore.BackupName, 7, 7)]
    [InlineData(StateStore.StateName, 2, 3)]
    [InlineData(StateStore.StateName, 4_000_000_000, 3 + AgentApiLimits.VersionJump)]
    public async Task The_highest_that_a_readable_state_names_counts_although_the_TPM_does_not_know_it(
        string file, long named, long highest)
    {
        LoadedState.Unusable found = await LoadAsync(file, Given.AgentId, named);
        Assert.Equal((LockReason.StateRollback, Counter, highest), (found.Reason, found.Counter, found.Highest));
    }

    [Fact]
    public async Task A_state_of_another_till_raises_nothing() =>
        Assert.Equal(3, (await LoadAsync(StateStore.StateName, "pos-999", 7)).Highest);

    private static async Task<LoadedState.Unusable> LoadAsync(string file, string agentId, long named)
    {
        BoundState state = Given.Bound(Given.Active(1)) with
        {
            AgentId = agentId,
            Generation = Counter + 5,
            HighestVersionSeen = named,
        };
        Files files = new(file, StrictJson.Write(state, StateJson.Strict.BoundState));
        Memory memory = new();
        LoadedState found = await new StateLoader(files, memory, new StateStore(files, memory))
            .LoadAsync(Identity(), CancellationToken.None);
        return Assert.IsType<LoadedState.Unusable>(found);
    }

    private static AgentFile Identity()
    {
        byte[] kept = File.ReadAllBytes(
            Path.Combine(SourceTree.Root, "tests", "formats", "format-1", "state", AgentFile.Name));
        AgentFile read = StateJson.Read(
            kept, StateJson.Strict.AgentFile, AgentFile.Name, AgentFile.CurrentFormat);
        return read with { AgentId = Given.AgentId, Highest = 1, Counter = 1 };
    }

    private sealed class Files(string only, byte[] content) : IStateFiles
    {
        public Task<byte[]?> ReadAsync(string name, CancellationToken cancel) =>
            Task.FromResult(name == only ? content : null);

        public Task WriteAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancel) =>
            throw new NotSupportedException();

        public Task ReplaceAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancel) =>
            throw new NotSupportedException();

        public Task RenameAsync(string from, string to, CancellationToken cancel) =>
            throw new NotSupportedException();

        public Task EraseAsync(string name, CancellationToken cancel) => throw new NotSupportedException();
    }

    /// <summary>Both slots name versions up to 3, and a state that is not there.</summary>
    private sealed class Memory : ITpmMemory
    {
        public Task<long> ReadCounterAsync(CancellationToken cancel) => Task.FromResult(Counter);

        public Task<long> IncrementCounterAsync(CancellationToken cancel) => throw new NotSupportedException();

        public Task<NvSlot?> ReadSlotAsync(int parity, CancellationToken cancel) => Task.FromResult<NvSlot?>(
            new NvSlot(
                NvSecretState.Active, parity == 0 ? 3UL : 2UL, 0, 0, 0, (ulong)(Counter - parity), new byte[32]));

        public Task WriteSlotAsync(int parity, NvSlot slot, CancellationToken cancel) =>
            throw new NotSupportedException();
    }
}
