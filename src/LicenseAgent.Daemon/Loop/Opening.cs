using LicenseAgent.Core;
using LicenseAgent.Daemon.Audit;
using LicenseAgent.Daemon.Enrolment;
using LicenseAgent.Daemon.Logging;
using LicenseAgent.Daemon.Metrics;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.Secrets;
using LicenseAgent.Daemon.State;
using LicenseAgent.Daemon.Upstream;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Tpm;
using Microsoft.Extensions.Logging;

namespace LicenseAgent.Daemon.Loop;

/// <summary>
/// Reads what is on disk at start, in the order it depends on each other, and builds the till from it.
/// </summary>
internal sealed class Opening(
    AgentPorts ports, CoreSettings settings, Till till, AgentMetrics metrics, ILogger logger)
{
    private readonly TillFiles _files = new(ports.StateFiles);
    private readonly KeysetFetch _keysets = new(ports, () => till.Upstream);
    private readonly StateLoader _loader = new(
        ports.StateFiles, ports.TpmMemory, new StateStore(ports.StateFiles, ports.TpmMemory));
    private bool _countersRestored;

    public async Task<AgentEvent> LoadAsync(CancellationToken cancel)
    {
        try
        {
            return await LoadWholeAsync(cancel);
        }
        catch (IdentityDamagedException e)
        {
            AgentEvents.EffectFailed(logger, nameof(AgentEffect.LoadState), e.Reason, e.Message);
            return new AgentEvent.FoundIdentityDamaged(e.Damaged);
        }
    }

    private async Task<AgentEvent> LoadWholeAsync(CancellationToken cancel)
    {
        AgentFile? agent = await _files.ReadAgentAsync(cancel);
        till.Agent = agent;
        if (agent is null or { Phase: EnrollmentPhase.MakingKeys or EnrollmentPhase.Refused })
        {
            return new AgentEvent.FoundNotEnrolled();
        }

        if (agent.Phase == EnrollmentPhase.Enrolling)
        {
            return new AgentEvent.FoundEnrolling(agent.AgentId);
        }

        (RunFile run, bool damaged) = await _loader.ReadRunAsync(cancel);
        if (damaged)
        {
            AgentEvents.RunFileDamaged(logger);
        }

        RestoreCounters(run.Counters);
        await AdoptAsync(agent, cancel);
        till.TpmFacts = await ports.TpmKeys.OpenAsync(agent.Anchor(), cancel);
        UtcTime? mirror = await ports.TpmClock.ReadMirrorAsync(cancel) is { } kept ? MirrorTime(kept) : null;
        TpmReading tpmClock = await Activities.TpmClockAsync(ports, cancel);
        Identity identity = new(agent.AgentId, agent.Policy!);
        return await _loader.LoadAsync(agent, cancel) switch
        {
            LoadedState.Good g => await LoadedAsync(identity, g.Bound, run.Run, cancel) with
            {
                Mirror = mirror,
                TpmClock = tpmClock,
                Certificate = till.Connection?.Certificate,
            },
            LoadedState.Fresh => EnrolledEvent(agent, run.Run, settings.BuildTime, ports.BootClock.BootMs),
            LoadedState.Unusable u => new AgentEvent.StateUnusable(
                identity, till.Server!.Chain.Reference, u.Reason, u.Counter, u.Highest,
                Naming(run.Run, await OpenRevocationsAsync(run.Run.Levels.Revocations, cancel)))
            {
                Mirror = mirror,
                TpmClock = tpmClock,
                Certificate = till.Connection?.Certificate,
            },
            _ => throw new InvariantBroken("A fourth kind of loaded state."),
        };
    }

    /// <summary>Everything that follows from an identity: server, connection, secrets, audit log.</summary>
    public async Task AdoptAsync(AgentFile agent, CancellationToken cancel)
    {
        till.Agent = agent;
        TrustedChain? chain = await _files.ReadKeysetsAsync(agent.KeysetPin, ports.VerifyEs256, cancel);
        till.Connection = new ServerConnection(
            ports, () => till.Upstream, agent, chain?.Current.Pins ?? [], settings.BuildTime);
        await till.Connection.OpenAsync(cancel);
        if (chain is null)
        {
            chain = await _keysets.FetchAsync(agent.KeysetPin, cancel);
            till.Connection.Accept(chain.Current.Pins);
        }

        if (till.Server is { } known && till.Adopted == agent.KeysetPin)
        {
            // The one in memory stays where the file is behind it.
            known.Adopt(chain.Current.Version >= known.Keyset.Version ? chain : known.Chain);
        }
        else
        {
            // After a new enrolment: what is held stays until the core has had it erased.
            TrustedServer server = new(chain, agent.AgentId, ports.VerifyEs256);
            till.Server = server;
            till.Adopted = agent.KeysetPin;
            till.Secrets ??= new SecretStore(ports.StateFiles, ports.TpmKeys.UnwrapAsync, till.Memory, server);
            till.Secrets.Trust(server);
            till.Software?.Trust(server);
            till.Exchanger = new Exchanger(
                ports, agent.AgentId, server, till, AuditEvidenceAsync,
                cancel => till.Connection!.RequestAsync(cancel), () => till.Upstream, settings.ProgramVersion);
        }

        AuditIdentity identity = new(agent.AgentId, agent.Keys!.Signing);
        if (till.Audit.Identity != identity)
        {
            await till.Audit.AdoptAsync(identity);
        }
    }

    public async Task<AgentEvent> EnrolledEventAsync(
        AgentFile agent, UtcTime serverTime, long sentBootMs, CancellationToken cancel) =>
        EnrolledEvent(agent, (await _loader.ReadRunAsync(cancel)).Run.Run, serverTime, sentBootMs);

    /// <summary>Numbers seen by an enrolment before this one count: the server may have been restored since.</summary>
    private AgentEvent.Enrolled EnrolledEvent(
        AgentFile agent, RunState before, UtcTime serverTime, long sentBootMs) => new(
        new Identity(agent.AgentId, agent.Policy!), till.Server!.Chain.Reference,
        Math.Max(agent.Highest, before.Highest), agent.Counter, serverTime, sentBootMs)
        {
            Certificate = till.Connection?.Certificate,
        };

    /// <summary>Fetches the keysets after the trusted one and takes them over, their pins included.</summary>
    public async Task<AgentEvent> FetchKeysetsAsync(CancellationToken cancel)
    {
        TrustedServer server = till.Server!;
        TrustedChain before = server.Chain;
        TrustedChain chain = await _keysets.ExtendAsync(before, cancel);
        server.Adopt(chain);
        if (!chain.Current.Pins.SequenceEqual(before.Current.Pins))
        {
            till.Connection!.Accept(chain.Current.Pins);
        }

        return new AgentEvent.KeysetsFetched(chain.Reference, chain.Current.NextUpdateBy);
    }

    /// <summary>
    /// The bound state names the keyset that was trusted when it was written. A chain on disk without it was put back:
    /// keys that the server has given up since would count again, so the chain is fetched before anything else.
    /// </summary>
    private async Task<AgentEvent.StateLoaded> LoadedAsync(
        Identity identity, BoundState bound, RunState run, CancellationToken cancel)
    {
        TrustedServer server = till.Server!;
        if (!server.Chain.Holds(bound.Keyset))
        {
            TrustedChain fetched = await _keysets.FetchAsync(till.Agent!.KeysetPin, cancel);
            server.Adopt(fetched.Holds(bound.Keyset) ? fetched : throw new StorageException(
                "keysets_put_back", $"{TillFiles.Keysets} and the server lack keyset {bound.Keyset.Version}, which "
                + "this till has trusted before: restore the server's database."));
        }

        FileReference? revocations = await OpenRevocationsAsync(bound.Revocations, cancel);
        TrustedChain chain = server.Chain;
        return new AgentEvent.StateLoaded(
            identity, revocations is null ? bound with { Revocations = null } : bound, Naming(run, revocations))
        {
            NewerKeyset = chain.Current.Version > bound.Keyset.Version ? chain.Reference : null,
            KeysetUpdateBy = chain.Current.NextUpdateBy,
            RevocationsLost = bound.Revocations is not null && revocations is null,
        };
    }

    /// <summary>The run state and its revocations, where the TPM cannot say what is bound.</summary>
    public async Task<RunState> ReadRunAsync(CancellationToken cancel)
    {
        RunState run = (await _loader.ReadRunAsync(cancel)).Run.Run;
        return Naming(run, await OpenRevocationsAsync(run.Levels.Revocations, cancel));
    }

    /// <summary>What a request says of the log: never more than is on stable storage.</summary>
    private async Task<AuditEvidence> AuditEvidenceAsync(AuditPoint? witnessed)
    {
        AuditLog audit = till.Audit;
        AuditPoint synced;
        try
        {
            synced = await audit.SyncAsync();
        }
        catch (EnvironmentException e)
        {
            // A full disk must not cost contact: the newest record that did reach the disk is reported.
            AgentEvents.EffectFailed(logger, "audit", e.Reason, e.Message);
            synced = audit.Synced;
        }

        return new AuditEvidence(
            synced.Seq, synced.Head, witnessed is null ? null : till.AuditReader.Point(witnessed.Seq));
    }

    /// <summary>The list on disk, if it is one of the server's and not older than <paramref name="wanted"/>.</summary>
    private async Task<FileReference?> OpenRevocationsAsync(FileReference? wanted, CancellationToken cancel)
    {
        if (await ports.StateFiles.ReadAsync(EffectRunner.Revocations, cancel) is not { } raw)
        {
            return null;
        }

        try
        {
            Digest32 hash = Digest32.Sha256(raw);
            RevocationList? list = till.Server!.ReadStoredCheckIn(raw, isBound: wanted?.Sha256 == hash).Revocations;
            if (list is not null && list.Version >= (wanted?.Version ?? 0))
            {
                till.Revoke(list);
                return new FileReference(list.Version, hash);
            }
        }
        catch (NoContactException e)
        {
            AgentEvents.EffectFailed(logger, "revocations", e.Reason, e.Message);
        }

        return null;
    }

    /// <summary>
    /// Neither state names a list that is not in memory (missing, damaged or put back): a check-in that names it would
    /// not be given it again, and what it revokes would be valid for ever.
    /// </summary>
    private static RunState Naming(RunState run, FileReference? revocations) =>
        run with { Levels = run.Levels with { Revocations = revocations } };

    private static UtcTime MirrorTime(NvMirror mirror) =>
        new((long)Math.Min(mirror.HighWater, (ulong)UtcTime.MaxValue.UnixMs));

    private void RestoreCounters(CounterState counters)
    {
        if (!_countersRestored)
        {
            metrics.Restore(counters);
            _countersRestored = true;
        }
    }
}
