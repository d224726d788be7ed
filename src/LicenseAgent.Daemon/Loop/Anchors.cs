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
/// TPM key.
/// </summary>
internal sealed class Anchors(AgentPorts ports, Till till)
{
    public async Task<AgentEvent> WriteAsync(
        AgentEffect.WriteAnchors anchors, AgentState state, CancellationToken cancel)
    {
        AuditLog audit = till.Audit;
        EnvironmentException? unsynced = null;
        AuditPoint head;
        try
        {
            head = await audit.SyncAsync();
        }
        catch (EnvironmentException e)
        {
            // The high-water does not wait for a log that cannot be written: it goes with the newest record that is.
            (head, unsynced) = (audit.Synced, e);
        }

        if (anchors.Mirror is { } highWater)
        {
            byte[] bytes = new byte[Digest32.Length];
            head.Head.CopyTo(bytes);
            await ports.TpmClock.WriteMirrorAsync(
                new NvMirror((ulong)Math.Max(0, highWater.UnixMs), (ulong)head.Seq, bytes), cancel);
        }

        if (unsynced is not null)
        {
            return new AgentEvent.AnchoringFailed(unsynced.Message);
        }

        TpmReading? clock = null;
        if (anchors.Checkpoint || audit.CheckpointIsDue)
        {
            clock = await CheckpointAsync(audit, state, cancel);
        }

        return new AgentEvent.Anchored { TpmClock = clock };
    }

    private async Task<TpmReading> CheckpointAsync(AuditLog audit, AgentState state, CancellationToken cancel)
    {
        try
        {
            TpmClockReading clock = await ports.TpmClock.ReadClockAsync(cancel);
            TpmReading reading = new(clock.ClockMs, ports.BootClock.BootMs);
            AuditCheckpoint checkpoint = await audit.ComposeCheckpointAsync(
                state.Bound?.Generation ?? state.Counter, clock.ResetCount, clock.ClockMs);
            byte[] input = checkpoint.ToSigningInput();
            byte[] signature = await ports.TpmKeys.SignAsync(SHA256.HashData(input), cancel);
            audit.AppendCheckpoint(checkpoint, CompactJws.Assemble(input, signature));
            return reading;
        }
        catch (TpmUnavailableException e)
        {
            audit.AppendCheckpointMissed(e.Reason);
            throw;
        }
    }
}
