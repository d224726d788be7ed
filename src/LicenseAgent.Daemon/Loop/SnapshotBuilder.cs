using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Globalization;
using LicenseAgent.Core;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.Secrets;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Daemon.Loop;

/// <summary>
/// Makes the immutable view that validations and status calls read, from the state and what the till holds.
/// </summary>
internal sealed class SnapshotBuilder(AgentConfig config, Till till)
{
    // One is made after every event, and most events change none of what these were made of.
    private Keyset? _keyset;
    private EcPublicJwk? _signing;
    private string? _signingThumbprint;
    private List<UsableSecret> _usableList = [];
    private FrozenDictionary<string, UsableSecret> _usable = FrozenDictionary<string, UsableSecret>.Empty;
    private readonly string _signingHandle = Hex(config.Tpm.SigningHandle);
    private readonly string _decryptionHandle = Hex(config.Tpm.DecryptionHandle);
    private readonly ProtectionView[] _protections =
        [.. till.Protections.Select(p => new ProtectionView(p.Name, p.Holds, p.Fact, p.Holds ? null : p.Remedy))];
    private FrozenDictionary<string, EcPublicJwk> _licenseKeys = FrozenDictionary<string, EcPublicJwk>.Empty;

    public AgentSnapshot Build(AgentState state, Now now)
    {
        UtcTime trusted = state.Clock.At(now.BootMs);
        FrozenDictionary<string, UsableSecret> secrets = Usable(state);
        UsableSecret? active = secrets.Values.Where(s => s.State == SecretState.Active).MaxBy(s => s.Version);
        return new AgentSnapshot(
            state.Identity?.AgentId ?? "", state.Clock, Views.Facts(state), secrets, Awaited(state), active,
            Views.Highest(state), till.Server?.Keyset.Version ?? 0, LicenseKeys(), till.RevokedLicenses,
            Status(state, trusted, now));
    }

    private FrozenDictionary<string, UsableSecret> Usable(AgentState state)
    {
        List<UsableSecret> usable = [];
        foreach (UsableEntry entry in Views.Usable(state))
        {
            SecretStore? store = entry.IsSoftware ? till.Software : till.Secrets;
            HeldSecret held = store?.Find(entry.Entry.Version)
                ?? throw new InvariantBroken($"v{entry.Entry.Version} is loaded and not held.");
            usable.Add(new UsableSecret(
                held.Version, held.Kid, entry.Entry.State, entry.End, held.TokenKey,
                entry.IsSoftware ? Protections.Software : Protections.Tpm));
        }

        if (!usable.SequenceEqual(_usableList))
        {
            Dictionary<string, UsableSecret> byKid = new(StringComparer.Ordinal);
            foreach (UsableSecret secret in usable)
            {
                byKid[secret.Kid] = secret;
            }

            (_usableList, _usable) = (usable, byKid.ToFrozenDictionary(StringComparer.Ordinal));
        }

        return _usable;
    }

    private static FrozenDictionary<string, UtcTime> Awaited(AgentState state) =>
        Views.Awaited(state) is { IsEmpty: false } awaited
            ? awaited.ToFrozenDictionary(
                e => SecretKid.Format(state.Identity!.AgentId, e.Entry.Version), e => e.End, StringComparer.Ordinal)
            : FrozenDictionary<string, UtcTime>.Empty;

    private FrozenDictionary<string, EcPublicJwk> LicenseKeys()
    {
        if (till.Server is { } server && !ReferenceEquals(server.Keyset, _keyset))
        {
            _keyset = server.Keyset;
            _licenseKeys = _keyset.Keys
                .Where(k => k.May(KeyScopes.License))
                .ToFrozenDictionary(k => k.Kid, k => k.PublicKey, StringComparer.Ordinal);
        }

        return _licenseKeys;
    }

    private SnapshotStatus Status(AgentState state, UtcTime trusted, Now now)
    {
        List<SecretView> secrets =
        [
            .. (state.Bound?.Secrets ?? []).Concat(state.Software?.Secrets ?? [])
                .Select(s => ViewOf(state, s, trusted)),
        ];
        if ((state.Software?.Pending ?? state.Run.Pending) is { } pending)
        {
            secrets.Add(ViewOf(state, pending.Entry, trusted));
        }

        return new SnapshotStatus(
            secrets, state.Run.Levels.MinValidVersion, TpmOf(state), Views.RotationDue(state), state.Run.LastContact,
            [.. state.Alerts.Select(a => new AlertView(a.Key, a.Value.Severity, a.Value.Since, a.Value.Detail))],
            _protections, ClockOf(state, now));
    }

    private static SnapshotClock ClockOf(AgentState state, Now now)
    {
        // An anchor of another boot proves its own moment and nothing after it: a line that never starts to run.
        long from = state.Run.Anchor?.BootId == now.BootId ? now.BootMs : long.MaxValue;
        TrustedClock? proven = Views.ProvenNow(state, now) is { } time ? new TrustedClock(from, time) : null;
        return new SnapshotClock(
            state.Watch, state.Run.Anchor, state.Run.HighWater?.Time, proven, state.Run.DoubtedMs);
    }

    /// <summary>As last read: by the latest request that reported it, or when the TPM was opened.</summary>
    private TpmClockReading? Clock => till.Exchanger?.LastClock ?? till.TpmFacts?.Clock;

    private TpmResponse TpmOf(AgentState state) => new(
        Views.TpmReport(state), config.Tpm.Device, till.TpmFacts?.Manufacturer, till.TpmFacts?.Firmware,
        till.TpmFacts?.LockoutCounter, state.Bound?.Generation, Clock?.ClockMs, Clock?.ResetCount, Clock?.RestartCount,
        SigningThumbprint(), _signingHandle, _decryptionHandle, till.Agent?.Keys?.SrkName,
        state.TpmDetail.Length == 0 ? null : state.TpmDetail)
    {
        OwnerAuthSet = till.TpmFacts?.OwnerAuthSet,
        Fallback = config.Tpm.Fallback is null ? "off" : "on_loss",
    };

    private string? SigningThumbprint()
    {
        if (till.Agent?.Keys?.Signing is var signing && !ReferenceEquals(signing, _signing))
        {
            (_signing, _signingThumbprint) = (signing, signing?.Thumbprint().ToString());
        }

        return _signingThumbprint;
    }

    private static SecretView ViewOf(AgentState state, SecretEntry s, UtcTime trusted)
    {
        bool over = state.Run.Levels.Forbids(s.Version) || (s.State == SecretState.Grace && trusted >= s.GraceUntil);
        SecretState shown = over ? SecretState.Invalidated : s.State;
        return new SecretView(
            s.Version, NameOf(shown), s.Kcv, s.Created, s.ValidFrom, s.ValidUntil, s.GraceUntil);
    }

    private static string NameOf(SecretState state) => state switch
    {
        SecretState.Pending => "PENDING",
        SecretState.Active => "ACTIVE",
        SecretState.Grace => "GRACE",
        SecretState.Invalidated => "INVALIDATED",
        _ => throw new InvariantBroken($"Secret state {state} has no word."),
    };

    private static string Hex(uint handle) => "0x" + handle.ToString("x8", CultureInfo.InvariantCulture);
}
