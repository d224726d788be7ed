using LicenseAgent.Core;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Tpm;

namespace LicenseAgent.Daemon.State;

/// <summary>The TPM's counter belongs neither to the state nor to the next one: somebody else moved it.</summary>
internal sealed class GenerationContradiction(string message)
    : EnvironmentException("generation_contradiction", message, retryable: false, null);

/// <summary>
/// Writes generations of the bound state so that a crash between any two steps leaves exactly one acceptable state:
/// new file and directory entry first, then the slot that names its hash, then the counter, then the rename.
/// </summary>
internal sealed class StateStore(IStateFiles files, ITpmMemory memory)
{
    public const string StateName = "state.json";
    public const string NewName = "state.json.new";
    public const string BackupName = "state.json.bak";

    /// <summary>
    /// Makes <paramref name="next"/> the state. May be called again with the same state after a failure: whatever was
    /// reached is carried on. The caller has fsynced the audit record of the change.
    /// </summary>
    public async Task CommitAsync(BoundState next, CancellationToken cancel)
    {
        byte[] bytes = Write(next);
        NvSlot slot = SlotOf(next, bytes);
        int parity = (int)(next.Generation % 2);
        long counter = await memory.ReadCounterAsync(cancel);
        if (counter == next.Generation - 1)
        {
            await files.WriteAsync(NewName, bytes, cancel);
            await memory.WriteSlotAsync(parity, slot, cancel);
            counter = await memory.IncrementCounterAsync(cancel);
        }
        else if (counter == next.Generation && !slot.Equals(await memory.ReadSlotAsync(parity, cancel)))
        {
            throw new GenerationContradiction(
                $"Generation {counter} in the TPM is another state than the one that was being written.");
        }

        if (counter != next.Generation)
        {
            throw new GenerationContradiction(
                $"The TPM's counter is {counter}, generation {next.Generation} was to be written.");
        }

        await FinishAsync(bytes, cancel);
    }

    /// <summary>From the increment on: the new file becomes the state, and the backup holds the same bytes.</summary>
    public async Task FinishAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancel)
    {
        if (await files.ReadAsync(NewName, cancel) is { } staged && staged.AsSpan().SequenceEqual(bytes.Span))
        {
            await files.RenameAsync(NewName, StateName, cancel);
        }
        else
        {
            await files.ReplaceAsync(StateName, bytes, cancel);
        }

        await files.ReplaceAsync(BackupName, bytes, cancel);
    }

    public static byte[] Write(BoundState state) => StrictJson.Write(state, StateJson.Strict.BoundState);

    public static NvSlot SlotOf(BoundState state, ReadOnlySpan<byte> bytes)
    {
        byte[] hash = new byte[Digest32.Length];
        Digest32.Sha256(bytes).CopyTo(hash);
        return state.Active is { } active
            ? new NvSlot(
                NvSecretState.Active, (ulong)active.Version, Ms(active.Created), Ms(active.ValidUntil),
                Ms(active.GraceUntil), (ulong)state.Generation, hash)
            : new NvSlot(
                NvSecretState.None, (ulong)state.HighestVersionSeen, 0, 0, 0, (ulong)state.Generation, hash);
    }

    private static ulong Ms(UtcTime time) => (ulong)Math.Max(0, time.UnixMs);
}
