using System.Buffers;
using System.Buffers.Text;
using System.Text.Json;
using LicenseAgent.Core;
using LicenseAgent.Daemon;
using LicenseAgent.Daemon.LocalApi;
using LicenseAgent.Daemon.LocalApi.Peers;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World.Faults;
using LicenseAgent.Sim.World.Server;

namespace LicenseAgent.Sim.World;

/// <summary>What is observed at a till, and how it is used: its sockets, its snapshot, its disk at certain moments.</summary>
internal sealed partial class SimTill
{
    private static readonly TimeSpan AnswerWithin = TimeSpan.FromSeconds(60);

    // As long as the management client waits for what needs the server and the TPM (ManagementClient.WorkTimeout).
    private static readonly TimeSpan OrderWithin = TimeSpan.FromMinutes(5);

    // Its loop has turned, and the wall clock is not believed yet.
    private const long WokenUs = 10_000_000;

    private readonly HashSet<long> _stagedInRetired = [];
    private Seen? _lastSeen;
    private long _messages;
    private AgentSnapshot? _lookedAt;
    private ArrivedAnswer? _judging;

    private static ReadOnlySpan<byte> Staged => "\"secret_staged\""u8;

    /// <summary>A call on one of the two sockets, through the agent's own handler.</summary>
    /// <param name="oversized">It has more bytes than a call may have, and none was read.</param>
    public void Call(
        bool admin, PeerCredentials peer, string method, string path, byte[] body, Action<int, byte[]> answered,
        bool oversized = false)
    {
        if (Agent is not { } agent || _life is not { IsOver: false } life)
        {
            answered(0, []);
            return;
        }

        LocalSurface surface = admin ? agent.Surfaces.Admin : agent.Surfaces.Pos;
        if (!surface.Access.Allows(peer))
        {
            surface.Denials.Add(peer, Admission.NotAllowed);
            answered(403, []);
            return;
        }

        bool isAnswered = false;
        long askedUs = _loop.NowUs;
        _loop.After((admin ? OrderWithin : AnswerWithin).Ticks / 10, () =>
        {
            // An order takes dozens of commands, and each may take as long as a slow TPM lets it. Asked last: it is looked
            // for in the whole history.
            if (!isAnswered && !life.IsOver && !IsStopped && !(admin && HadTrouble([FaultKinds.TpmSlow], askedUs)))
            {
                _history.Add(new Unanswered(_loop.NowUs, Id, path));
            }
        });
        LocalCall call = new(
            peer, method, path, "", body.Length > 0 ? "application/json" : null, body, oversized);
        life.Context.Post(async _ =>
        {
            ArrayBufferWriter<byte> into = new();
            LocalAnswer answer = await surface.Handler(call, into, CancellationToken.None);
            isAnswered = true;
            Canary.Look($"answer {path}", into.WrittenSpan);
            answered(answer.Status, into.WrittenSpan.ToArray());
        }, null);
    }

    /// <summary>Notes what the agent shows of itself, when it has changed or has not been noted for a while.</summary>
    public void Look()
    {
        if (Agent is not { } agent)
        {
            _lastSeen = null;
            return;
        }

        AgentSnapshot shown = agent.Loop.Snapshot;
        UtcTime trusted = shown.Clock.At(Boot!.BootUs / 1_000);
        AgentMode mode = shown.Mode.At(trusted);
        (long active, int actives) = InState(shown, "ACTIVE");
        (long pending, int pendings) = InState(shown, "PENDING");
        Seen seen = new(
            _loop.NowUs, Id, ModeText.Of(mode),
            mode == AgentMode.Locked && shown.Mode.ReasonWhenLocked is { } reason ? ModeText.Of(reason) : "",
            active, pending, actives, pendings,
            shown.HighestVersion, trusted.UnixMs, shown.Status.LastContact?.UnixMs,
            Wall.OffsetUs / 1_000);
        bool same = _lastSeen is { } last && last.AtUs > _loop.NowUs - 3_600_000_000
            && seen == last with { AtUs = seen.AtUs, TrustedMs = seen.TrustedMs, LastContactMs = seen.LastContactMs };
        if (!same)
        {
            _lastSeen = seen;
            _history.Add(seen);
        }
    }

    /// <summary>Of the secrets shown in a state the first one's version, 0 if none, and how many there are.</summary>
    private static (long Version, int Count) InState(AgentSnapshot shown, string state)
    {
        (long version, int count) = (0, 0);
        foreach (SecretView secret in shown.Status.Secrets)
        {
            if (secret.State == state)
            {
                version = count++ == 0 ? secret.Version : version;
            }
        }

        return (version, count);
    }

    /// <summary>Looked at in a moment, changed or not: what it makes of a sleep is over with the next contact.</summary>
    private void LookAfterWaking() => _loop.After(WokenUs, () =>
    {
        _lastSeen = null;
        Look();
    });

    /// <summary>The number of its next message, for the history.</summary>
    public long NextMessage() => ++_messages;

    /// <summary>Notes what is left at the end of a run.</summary>
    public void LookLast()
    {
        Look();
        Canary.LookAtDisk(Disk, Audit);
        Canary.Tell();
        _history.Add(new LeftOver(
            _loop.NowUs, Id, string.Join(' ', Agent?.Loop.Snapshot.Status.Alerts.Select(a => a.Id) ?? []),
            _clock?.Armed ?? 0));
        _history.Add(new TpmUsed(_loop.NowUs, Id, Tpm.Commands, Tpm.AuthFailures, Processes));
    }

    /// <summary>
    /// What the agent shows is looked at whenever it has changed: a state may be shown for seconds only, and is a
    /// finding all the same.
    /// </summary>
    private void OnPortCall(string name)
    {
        TellNextCall(name);
        if (Agent is { } agent && !ReferenceEquals(agent.Loop.Snapshot, _lookedAt))
        {
            _lookedAt = agent.Loop.Snapshot;
            Look();
        }

        PortCalled?.Invoke(name);
    }

    /// <summary>A confirm is about to leave: what would a power cut leave of what it relies on?</summary>
    public void NoteConfirm(byte[] request)
    {
        CompactJws.TryParse(request, JoseTypes.AgentRequest, request.Length, out ParsedJws? jws);
        using JsonDocument payload = JsonDocument.Parse(jws!.Payload.ToArray());
        long version = payload.RootElement.GetProperty("secret_version").GetInt64();
        bool secret = Disk.Durable($"secrets/v{version}.jws") is { Length: > 0 };
        _history.Add(new ConfirmLeft(
            _loop.NowUs, Id, version, secret, IsPendingDurable(version), IsStagingOnRecord(version)));
    }

    /// <summary>The log says that the version was staged, and a power cut could not take it back.</summary>
    public bool IsStagingOnRecord(long version)
    {
        int end = EndOfStaging(Audit.Newest, version);

        // Closed files are durable; what was retired was as old as it was to be kept.
        return end >= 0
            ? end < Audit.DurableLength
            : Audit.Closed.Reverse().Any(c => EndOfStaging(c.Content, version) >= 0)
                || _stagedInRetired.Contains(version);
    }

    /// <summary>Where the last record of a version's staging ends; -1: there is none.</summary>
    private static int EndOfStaging(ReadOnlySpan<byte> log, long version)
    {
        ReadOnlySpan<byte> rest = log;
        for (int at; (at = rest.LastIndexOf(Staged)) >= 0; rest = rest[..at])
        {
            int length = log[at..].IndexOf((byte)'\n');
            if (length >= 0 && VersionIn(log.Slice(at, length)) == version)
            {
                return at + length;
            }
        }

        return -1;
    }

    private void OnRetired(string name, byte[] content)
    {
        _history.Add(new LogFileRetired(_loop.NowUs, Id, name, AgeS(content)));
        ReadOnlySpan<byte> rest = content;
        for (int at; (at = rest.IndexOf(Staged)) >= 0; rest = rest[(at + Staged.Length)..])
        {
            int length = rest[at..].IndexOf((byte)'\n');
            if (length >= 0)
            {
                _stagedInRetired.Add(VersionIn(rest.Slice(at, length)));
            }
        }
    }

    /// <summary>Of the youngest record in a file, by the time it has on it; in seconds.</summary>
    private long AgeS(ReadOnlySpan<byte> log)
    {
        ReadOnlySpan<byte> member = "\"time\":\""u8;
        UtcTime youngest = UtcTime.MinValue;
        for (int at; (at = log.IndexOf(member)) >= 0; log = log[(at + member.Length)..])
        {
            ReadOnlySpan<byte> text = log[(at + member.Length)..];
            youngest = UtcTime.TryParse(text[..text.IndexOf((byte)'"')], out UtcTime time) && time > youngest
                ? time
                : youngest;
        }

        return (SimServer.At(_loop.NowUs).UnixMs - youngest.UnixMs) / 1_000;
    }

    /// <summary>Of the secret that a record is about; 0: of none.</summary>
    private static long VersionIn(ReadOnlySpan<byte> line)
    {
        ReadOnlySpan<byte> member = "\"version\":"u8;
        int at = line.IndexOf(member);
        return at >= 0 && Utf8Parser.TryParse(line[(at + member.Length)..], out long version, out _) ? version : 0;
    }

    /// <summary>An answer arrived; what it did to the agent is looked at when it next does something.</summary>
    public void NoteAnswer(Forgery kind)
    {
        JudgeLastAnswer();
        if (_life is { } life)
        {
            ArrivedAnswer arrived = new(kind, Agent?.Loop.Snapshot.Status.LastContact?.UnixMs, life);
            _judging = arrived;
            _loop.After(2_000_000, () =>
            {
                // After a restart another one may have arrived just now, and the agent has not looked at it yet.
                if (ReferenceEquals(_judging, arrived))
                {
                    JudgeLastAnswer();
                }
            });
        }

        if (kind == Forgery.None)
        {
            Action? arrives = AnswerArrives;
            AnswerArrives = null;
            arrives?.Invoke();
        }
    }

    public void JudgeLastAnswer()
    {
        if (_judging is { } judging)
        {
            _judging = null;
            if (ReferenceEquals(judging.Life, _life) && Agent is { } agent && !IsStopped)
            {
                _history.Add(new AnswerJudged(
                    _loop.NowUs, Id, judging.Kind.ToString(), judging.ContactBefore,
                    agent.Loop.Snapshot.Status.LastContact?.UnixMs));
            }
        }
    }

    private bool IsPendingDurable(long version)
    {
        if (Disk.Durable("run.json") is not { Length: > 0 } bytes)
        {
            return false;
        }

        using JsonDocument run = JsonDocument.Parse(bytes);
        JsonElement pending = run.RootElement.GetProperty("run").GetProperty("pending");
        return pending.ValueKind == JsonValueKind.Object
            && pending.GetProperty("entry").GetProperty("version").GetInt64() == version
            && pending.GetProperty("confirm_sent").GetBoolean();
    }

    /// <summary>An answer that has arrived and was not judged yet.</summary>
    private sealed record ArrivedAnswer(Forgery Kind, long? ContactBefore, Life Life);
}
