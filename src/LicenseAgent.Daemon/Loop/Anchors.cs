using System.Security.Cryptography;
using LicenseAgent.Core;
using LicenseAgent.Daemon.Audit;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Tpm;

namespace LicenseAgent.Daemon.Loop;

/// <summary>
/// What ties the log and the time to the TPM: the NV mirror of high-water and audit head, and checkpoints signed by the
/// TPM key. NV wears out, so the mirror is written at a new generation, every 6 h, hourly while not NORMAL.
/// </summary>
internal sealed class Anchors(AgentPorts ports, Till till)
{
    private const long EveryMs = 6 * 3_600_000L;
    private const long EveryNotNormalMs = 3_600_000L;

    private long? _mirroredBootMs;

    public void GenerationChanged() => _mirroredBootMs = null;

    public async Task<AgentEvent> WriteAsync(bool checkpoint, AgentState state, Now now, CancellationToken cancel)
    {
        AuditLog audit = till.Audit;
        AuditPoint head = await audit.SyncAsync();
        UtcTime trusted = state.Clock.At(now.BootMs);
        if (MirrorDue(state, now, trusted))
        {
            byte[] bytes = new byte[Digest32.Length];
            head.Head.CopyTo(bytes);
            await ports.TpmClock.WriteMirrorAsync(
                new NvMirror((ulong)Math.Max(0, trusted.UnixMs), (ulong)head.Seq, bytes), cancel);
            _mirroredBootMs = now.BootMs;
        }

        if (checkpoint || audit.CheckpointIsDue)
        {
            await CheckpointAsync(audit, state, cancel);
        }

        return new AgentEvent.Anchored();
    }

    private async Task CheckpointAsync(AuditLog audit, AgentState state, CancellationToken cancel)
    {
        try
        {
            TpmClockReading clock = await ports.TpmClock.ReadClockAsync(cancel);
            AuditCheckpoint checkpoint = await audit.ComposeCheckpointAsync(
                state.Bound?.Generation ?? state.Counter, clock.ResetCount, clock.ClockMs);
            byte[] input = checkpoint.ToSigningInput();
            byte[] signature = await ports.TpmKeys.SignAsync(SHA256.HashData(input), cancel);
            audit.AppendCheckpoint(checkpoint, CompactJws.Assemble(input, signature));
        }
        catch (TpmUnavailableException e)
        {
            audit.AppendCheckpointMissed(e.Reason);
            throw;
        }
    }

    private bool MirrorDue(AgentState state, Now now, UtcTime trusted)
    {
        long every = Views.Mode(state, trusted) == AgentMode.Normal ? EveryMs : EveryNotNormalMs;
        return _mirroredBootMs is not { } at || now.BootMs - at >= every;
    }
}
