using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.World.Server;

namespace LicenseAgent.Sim.World;

/// <summary>How an answer is tampered with, or replaced, on its way.</summary>
internal enum Forgery
{
    None,

    /// <summary>A captive portal, a proxy, a stranger: bytes nobody signed, of any status.</summary>
    Unsigned,

    /// <summary>An answer this agent got before.</summary>
    Replayed,

    /// <summary>An answer to another agent.</summary>
    CrossAgent,

    /// <summary>A genuine answer with one bit flipped.</summary>
    Flipped,
}

/// <summary>What ails the way between one till and the server; all of it ends when the fault does.</summary>
internal sealed class LinkTroubles
{
    public bool CutOut { get; set; }

    public bool CutIn { get; set; }

    public double LossOut { get; set; }

    public double LossIn { get; set; }

    public double Duplicates { get; set; }

    public double Truncates { get; set; }

    /// <summary>The n-th answer from now is lost, once.</summary>
    public long LoseAnswer { get; set; }

    /// <summary>Mean of one way.</summary>
    public long LatencyUs { get; set; } = NormalLatencyUs;

    public Forgery Forges { get; set; }

    public const long NormalLatencyUs = 40_000;

    public void End()
    {
        (CutOut, CutIn, LossOut, LossIn, Duplicates, Truncates) = (false, false, 0, 0, 0, 0);
        (LatencyUs, Forges, LoseAnswer) = (NormalLatencyUs, Forgery.None, 0);
    }

    public bool LosesNow() => LoseAnswer > 0 && --LoseAnswer == 0;
}

/// <summary>
/// The network between tills and server: messages of whole requests and answers, since TLS lets nothing else through.
/// Either way a message can be late, lost, doubled or arrive after its sender gave up; an answer can be lost after the
/// server has committed.
/// </summary>
internal sealed class SimNet(SimLoop loop, Chronicle history, SimServer server)
{
    private readonly SortedDictionary<string, List<byte[]>> _answersKept = new(StringComparer.Ordinal);
    private long _messages;

    /// <summary>Old answers are kept for whoever replays them.</summary>
    public bool KeepsAnswers { get; init; } = true;

    /// <summary>Each message stands in the history.</summary>
    public bool NotesMessages { get; init; } = true;

    public void Send(
        SimTill till, string method, string path, byte[] body, TimeSpan deadline, SimRandom chance,
        Asked<UpstreamAnswer> asked, Action<Forgery> delivered)
    {
        LinkTroubles link = till.Link;
        Way way = new(till, ++_messages);
        if (NotesMessages)
        {
            history.Add(new RequestLeft(loop.NowUs, till.Id, way.Message, path));
        }

        loop.After(deadline.Ticks / 10, () => asked.Fail(new NoContactException(
            "timeout", "The server did not answer in time.")));
        if (link.Forges == Forgery.Unsigned)
        {
            Deliver(way, Forge(till, Forgery.Unsigned, [], chance), Forgery.Unsigned, chance, asked, delivered);
            return;
        }

        if (link.CutOut || chance.Chance(link.LossOut))
        {
            Note(way, MessageFate.RequestLost);
            return;
        }

        bool twice = chance.Chance(link.Duplicates);
        loop.After(Latency(link, chance), () => Arrive(way, method, path, body, chance, asked, delivered));
        if (twice)
        {
            // A byte-identical copy: the server must not act on it, and nobody hears its answer.
            loop.After(Latency(link, chance) * 3, () =>
            {
                if (Process(method, path, body) is not null)
                {
                    Note(way with { ArrivedUs = loop.NowUs }, MessageFate.CopyArrived);
                }
            });
        }
    }

    private void Arrive(
        Way way, string method, string path, byte[] body, SimRandom chance, Asked<UpstreamAnswer> asked,
        Action<Forgery> delivered)
    {
        if (Process(method, path, body) is not { } reply)
        {
            Note(way, MessageFate.NobodyThere);
            asked.Fail(new NoContactException("refused", "The server cannot be reached."));
            return;
        }

        way = way with { ArrivedUs = loop.NowUs };
        SimTill till = way.Till;
        LinkTroubles link = till.Link;
        byte[] answer = reply.Body;
        Forgery forged = method == "GET" ? Forgery.None : link.Forges;
        if (forged != Forgery.None)
        {
            byte[] made = Forge(till, forged, answer, chance);
            (answer, forged) = made.Length == 0 ? (answer, Forgery.None) : (made, forged);
        }

        if (KeepsAnswers && method != "GET" && forged == Forgery.None && reply.Status == 200)
        {
            Remember(till.Id, answer);
        }

        if (link.LosesNow() || link.CutIn || chance.Chance(link.LossIn))
        {
            Note(way, MessageFate.AnswerLost);
            return;
        }

        if (chance.Chance(link.Truncates))
        {
            loop.After(Latency(link, chance), () =>
            {
                Note(way, MessageFate.AnswerBroken);
                asked.Fail(new NoContactException("incomplete", "The connection broke off within the answer."));
            });
            return;
        }

        // What tells of contact: a signed answer to somebody who has an identity.
        bool counts = forged != Forgery.None || (reply.IsSigned && path != AgentPaths.Enroll);
        Deliver(way, answer, forged, chance, asked, counts ? delivered : _ => { }, reply.Status);
    }

    private void Deliver(
        Way way, byte[] answer, Forgery forged, SimRandom chance, Asked<UpstreamAnswer> asked,
        Action<Forgery> delivered, int status = 200) => loop.After(Latency(way.Till.Link, chance), () =>
        {
            Note(way, asked.IsAnswered ? MessageFate.TooLate
                : forged == Forgery.None ? MessageFate.Answered : MessageFate.Forged);
            if (!asked.IsAnswered)
            {
                delivered(forged);
                asked.Give(new UpstreamAnswer(status, answer, null));
            }
        });

    private void Note(Way way, MessageFate fate)
    {
        if (NotesMessages)
        {
            history.Add(new MessageEnded(loop.NowUs, way.Till.Id, way.Message, fate, way.ArrivedUs));
        }
    }

    private ServerReply? Process(string method, string path, byte[] body) =>
        server.IsDown ? null : server.Handle(method, path, body);

    private byte[] Forge(SimTill till, Forgery how, byte[] answer, SimRandom chance)
    {
        switch (how)
        {
            case Forgery.Unsigned:
                return chance.Chance(0.5)
                    ? """<html><a href="/login">Free WiFi</a></html>"""u8.ToArray()
                    : """{"error":"AGENT_SUSPENDED","directives":[{"type":"suspend"}]}"""u8.ToArray();
            case Forgery.Replayed:
                return _answersKept.TryGetValue(till.Id, out List<byte[]>? own) ? chance.Pick(own) : [];
            case Forgery.CrossAgent:
                List<byte[]>[] others = [.. _answersKept.Where(k => k.Key != till.Id).Select(k => k.Value)];
                return others.Length == 0 ? [] : chance.Pick(chance.Pick(others));
            default:
                byte[] flipped = (byte[])answer.Clone();
                flipped[chance.Below(flipped.Length)] ^= 1;
                return flipped;
        }
    }

    private void Remember(string agentId, byte[] answer)
    {
        if (!_answersKept.TryGetValue(agentId, out List<byte[]>? kept))
        {
            _answersKept.Add(agentId, kept = []);
        }

        if (kept.Count >= 16)
        {
            kept.RemoveAt(0);
        }

        kept.Add(answer);
    }

    private static long Latency(LinkTroubles link, SimRandom chance) =>
        (link.LatencyUs / 2) + chance.Exponential(link.LatencyUs / 2);

    /// <summary>A message and how far it came.</summary>
    private sealed record Way(SimTill Till, long Message, long? ArrivedUs = null);
}

/// <summary>The agent's port onto the network.</summary>
internal sealed class UpstreamPort(SimTill till, Life life, SimNet net, string serverPin, SimRandom chance) : IUpstream
{
    private UpstreamSettings? _settings;

    public void Configure(UpstreamSettings settings)
    {
        life.Loop.AssertThread();
        _settings = settings;
    }

    public Task<UpstreamAnswer> ExchangeAsync(
        string method, string path, ReadOnlyMemory<byte> body, TimeSpan deadline, CancellationToken cancel)
    {
        till.JudgeLastAnswer();
        byte[] sent = body.ToArray();
        till.Canary.LookAtRequest(path, sent);
        return life.Ask<UpstreamAnswer>("net.exchange", asked =>
        {
            if (_settings is null || !_settings.Pins.Contains(serverPin, StringComparer.Ordinal))
            {
                asked.Fail(new NoContactException("tls_pin", "The server's key is not one of the pinned ones."));
                return;
            }

            if (path == AgentPaths.ConfirmRotation)
            {
                till.NoteConfirm(sent);
                Action? confirms = till.ConfirmLeaves;
                till.ConfirmLeaves = null;
                confirms?.Invoke();
            }

            Action? leaves = till.RequestLeaves;
            till.RequestLeaves = null;
            leaves?.Invoke();
            asked.Cancels = cancel.Register(() => asked.Fail(new OperationCanceledException(cancel)));
            net.Send(till, method, path, sent, deadline, chance, asked, till.NoteAnswer);
        });
    }
}
