using LicenseAgent.Core;
using LicenseAgent.Daemon.Audit;
using LicenseAgent.Daemon.Logging;
using LicenseAgent.Daemon.Metrics;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.State;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Json;
using Microsoft.Extensions.Logging;

namespace LicenseAgent.Daemon.Loop;

/// <summary>
/// Carries out the effects that are awaited: durable writes, records, answers to operators, counters.
/// </summary>
internal sealed class EffectRunner(
    AgentPorts ports, Till till, CommandTickets tickets, AgentMetrics metrics, ILogger logger)
{
    public const string Revocations = "revocations.jws";
    public const string Receipts = "receipts.jws";

    /// <exception cref="EnvironmentException">A durable effect did not reach stable storage.</exception>
    public async Task RunAsync(AgentEffect effect, CancellationToken cancel)
    {
        switch (effect)
        {
            case AgentEffect.SaveRun e: await SaveRunAsync(e.Run, cancel); break;
            case AgentEffect.SaveSoftware e:
                await ports.Fallback!.Files.ReplaceAsync(
                    SoftwareFile.Name, SoftwareActivity.Write(till.Agent!.AgentId, e.Book), cancel);
                break;
            case AgentEffect.EraseSoftware e: await EraseSoftwareAsync(e, cancel); break;
            case AgentEffect.SaveRevocations e:
                await ports.StateFiles.ReplaceAsync(Revocations, e.Answer, cancel);
                till.Revoke(till.Server!.ReadStoredCheckIn(e.Answer.Span, isBound: false).Revocations!);
                break;
            case AgentEffect.KeepReceipt e:
                byte[] row = await ports.StateFiles.ReadAsync(Receipts, cancel) ?? [];
                await ports.StateFiles.ReplaceAsync(Receipts, ReceiptRow.Added(row, e.Answer.Span), cancel);
                break;
            case AgentEffect.SaveCertificate e:
                await till.Connection!.TakeIntoUseAsync(e.Chain, cancel);
                break;
            case AgentEffect.EraseSecret e: await till.Secrets!.EraseAsync(e.Version, cancel); break;
            case AgentEffect.Audit e: await AuditAsync(e); break;
            case AgentEffect.CompleteRotate e: tickets.CompleteRotate(e); break;
            case AgentEffect.CompleteInvalidate e: tickets.CompleteInvalidate(e); break;
            case AgentEffect.CompleteDegraded e: tickets.CompleteDegraded(e); break;
            case AgentEffect.CompleteEnroll e: tickets.CompleteEnroll(e); break;
            case AgentEffect.CompleteRenewal e: tickets.CompleteRenewal(e); break;
            case AgentEffect.CountRotation e: metrics.RotationEnded(e.Succeeded); break;
            default: throw new InvariantBroken($"{effect.GetType().Name} is nobody's effect.");
        }
    }

    private async Task EraseSoftwareAsync(AgentEffect.EraseSoftware e, CancellationToken cancel)
    {
        foreach (long version in e.Versions)
        {
            await till.Software!.EraseAsync(version, cancel);
        }

        if (e.Whole)
        {
            await ports.Fallback!.Files.EraseAsync(SoftwareFile.Name, cancel);
            ports.Fallback.Keys.Close();
        }
    }

    /// <summary>The last words of a clean stop.</summary>
    public async Task SaveLastAsync(AgentState state, Now now)
    {
        if (state.Identity is null)
        {
            return;
        }

        RunState run = state.Run with
        {
            HighWater = new HighWater(state.Clock.At(now.BootMs), now.BootId, now.BootMs, now.AwakeMs),
        };
        try
        {
            await SaveRunAsync(run, CancellationToken.None);
        }
        catch (EnvironmentException e)
        {
            AgentEvents.EffectFailed(logger, "stop", e.Reason, e.Message);
        }
    }

    private Task SaveRunAsync(RunState run, CancellationToken cancel) => ports.StateFiles.ReplaceAsync(
        RunFile.Name,
        StrictJson.Write(new RunFile(RunFile.CurrentFormat, run, metrics.Counters()), StateJson.Strict.RunFile),
        cancel);

    private async Task AuditAsync(AgentEffect.Audit effect)
    {
        AgentEvents.Happened(logger, effect.Event, effect.Op, effect.Outcome);
        AuditDetails details = [];
        foreach ((string name, object value) in effect.Details)
        {
            details.Add(name, ValueOf(value));
        }

        AuditOutcome outcome = effect.Outcome switch
        {
            "ok" => AuditOutcome.Ok,
            "refused" => AuditOutcome.Refused,
            "failed" => AuditOutcome.Failed,
            _ => throw new InvariantBroken($"{effect.Outcome} is no outcome."),
        };
        string? op = effect.Op.Length == 0 ? null : effect.Op;
        AuditTicket record = till.Audit.Append(
            new AuditEntry(effect.Event, op, AuditActor.Agent, outcome, details));
        if (effect.Durable)
        {
            await till.Audit.SyncAsync(record);
        }
    }

    private static AuditValue ValueOf(object value) => value switch
    {
        string text => text,
        long number => number,
        int number => (long)number,
        bool flag => flag,
        UtcTime time => time,
        _ => throw new InvariantBroken($"{value.GetType().Name} is no detail of a record."),
    };
}
