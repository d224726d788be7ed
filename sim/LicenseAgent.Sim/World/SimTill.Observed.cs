using System.Buffers;
using System.Text;
using System.Text.Json;
using LicenseAgent.Core;
using LicenseAgent.Daemon;
using LicenseAgent.Daemon.LocalApi;
using LicenseAgent.Daemon.LocalApi.Peers;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.World.Faults;
using LicenseAgent.Sim.World.Server;

namespace LicenseAgent.Sim.World;

/// <summary>What is observed at a till, and how it is used: its sockets, its snapshot, its disk at certain moments.</summary>
internal sealed partial class SimTill
{
    private static readonly TimeSpan AnswerWithin = TimeSpan.FromSeconds(60);

    private Seen? _lastSeen;
    private AgentSnapshot? _lookedAt;
    private ArrivedAnswer? _judging;

    /// <summary>A call on one of the two sockets, through the agent's own handler.</summary>
    public void Call(
        bool admin, PeerCredentials peer, string method, string path, byte[] body, Action<int, byte[]> answered)
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
        _loop.After(AnswerWithin.Ticks / 10, () =>
        {
            if (!isAnswered && !life.IsOver && !IsStopped && !admin)
            {
                _history.Add(new Unanswered(_loop.NowUs, Id, path));
            }
        });

        // What is longer than the till reads comes to the handler without a body.
        bool isTooLong = body.Length > Config.Pos.RequestBytes;
        LocalCall call = new(
            peer, method, path, "", body.Length > 0 ? "application/json" : null, isTooLong ? [] : body, isTooLong);
        life.Context.Post(async _ =>
        {
            ArrayBufferWriter<byte> into = new();
            LocalAnswer answer = await surface.Handler(call, into, CancellationToken.None);
            isAnswered = true;
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
        Seen seen = new(
            _loop.NowUs, Id, ModeText.Of(mode),
            mode == AgentMode.Locked && shown.Mode.ReasonWhenLocked is { } reason ? ModeText.Of(reason) : "",
            shown.Status.Secrets.FirstOrDefault(s => s.State == "ACTIVE")?.Version ?? 0,
            shown.Status.Secrets.FirstOrDefault(s => s.State == "PENDING")?.Version ?? 0,
            shown.Status.Secrets.Count(s => s.State == "ACTIVE"),
            shown.Status.Secrets.Count(s => s.State == "PENDING"),
            shown.HighestVersion, trusted.UnixMs, shown.Status.LastContact?.UnixMs);
        bool same = _lastSeen is { } last && last.AtUs > _loop.NowUs - 3_600_000_000
            && seen == last with { AtUs = seen.AtUs, TrustedMs = seen.TrustedMs, LastContactMs = seen.LastContactMs };
        if (!same)
        {
            _lastSeen = seen;
            _history.Add(seen);
        }
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
    private bool IsStagingOnRecord(long version)
    {
        ReadOnlySpan<byte> log = Audit.Newest;
        int at;
        while ((at = log.LastIndexOf("\"secret_staged\""u8)) >= 0)
        {
            int length = Audit.Newest[at..].IndexOf((byte)'\n');
            if (length >= 0 && Names(Audit.Newest.Slice(at, length), version))
            {
                return at + length < Audit.DurableLength;
            }

            log = log[..at];
        }

        // Closed files are durable, and none is as long ago as to be looked through for more than a mention.
        return Audit.Closed.Any(c => c.Content.AsSpan().IndexOf("\"secret_staged\""u8) >= 0);
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

    private static bool Names(ReadOnlySpan<byte> line, long version)
    {
        byte[] member = Encoding.ASCII.GetBytes($"\"version\":{version}");
        int at = line.IndexOf(member);
        return at >= 0 && !char.IsAsciiDigit((char)line[at + member.Length]);
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
