using System.Security.Cryptography.X509Certificates;
using System.Text;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.World.Faults;
using LicenseAgent.Sim.World.Server;

namespace LicenseAgent.Sim.World;

/// <summary>
/// The network between tills and server: messages of whole requests and answers, since TLS lets nothing else through.
/// Either way a message can be late, lost, doubled or arrive after its sender gave up; an answer can be lost after the
/// server has committed.
/// </summary>
internal sealed class SimNet(SimLoop loop, Chronicle history, SimServer server)
{
    private readonly SortedDictionary<string, List<byte[]>> _answersKept = new(StringComparer.Ordinal);

    /// <summary>Old answers are kept for whoever replays them.</summary>
    public bool KeepsAnswers { get; init; } = true;

    /// <summary>Certificates end in this run, and the server looks at when.</summary>
    public bool ReadsCertificates { get; init; }

    /// <summary>Each message stands in the history.</summary>
    public bool NotesMessages { get; init; } = true;

    public void Send(
        SimTill till, string method, string path, byte[] body, UtcTime? certificateEnds, TimeSpan deadline,
        SimRandom chance, Asked<UpstreamAnswer> asked, Action<Forgery> delivered)
    {
        Letter letter = new(till, till.NextMessage(), method, path, body, certificateEnds, chance, asked, delivered);
        LinkTroubles link = till.Link;
        if (NotesMessages)
        {
            history.Add(new RequestLeft(loop.NowUs, till.Id, letter.Message, path));
        }

        loop.After(deadline.Ticks / 10, () => asked.Fail(new NoContactException(
            "timeout", "The server did not answer in time.")));
        if (link.NoWay != NoWay.None)
        {
            Break(letter, MessageFate.NobodyThere, Unreachable(link.NoWay));
            return;
        }

        if (link.Forges == Forgery.Unsigned)
        {
            Action<Forgery> told = delivered;
            if (path == AgentPaths.Enroll)
            {
                told = _ => { };
            }

            Deliver(letter, new ServerReply(link.ForgedStatus, Portal(chance)), Forgery.Unsigned, told);
            return;
        }

        if (link.CutOut || chance.Chance(link.LossOut))
        {
            Note(letter, MessageFate.RequestLost);
            return;
        }

        if (IsReset(link.ResetsOut, chance))
        {
            Break(letter, MessageFate.RequestLost, BrokenOff());
            return;
        }

        bool twice = chance.Chance(link.Duplicates);
        long way = Latency(link, chance) + link.Clogged(loop.NowUs, isOut: true);
        loop.After(way, () => Arrive(letter));
        if (twice)
        {
            // A byte-identical copy: the server must not act on it, and nobody hears its answer.
            loop.After(way + (Latency(link, chance) * 2), () =>
            {
                if (Process(letter) is not null)
                {
                    Note(letter with { ArrivedUs = loop.NowUs }, MessageFate.CopyArrived);
                }
            });
        }
    }

    private void Arrive(Letter letter)
    {
        (SimTill till, SimRandom chance) = (letter.Till, letter.Chance);
        if (Process(letter) is not { } reply)
        {
            Note(letter, MessageFate.NobodyThere);
            letter.Asked.Fail(Unreachable(NoWay.Refused));
            return;
        }

        letter = letter with { ArrivedUs = loop.NowUs };
        LinkTroubles link = till.Link;
        Forgery forged = letter.Method == "GET" ? Forgery.None : link.Forges;
        ServerReply sent = forged == Forgery.None ? reply : Forge(letter, forged, reply);
        forged = ReferenceEquals(sent, reply) ? Forgery.None : forged;
        if (KeepsAnswers && letter.Method != "GET" && forged == Forgery.None && reply.Status == 200)
        {
            Remember(till.Id, reply.Body);
        }

        if (link.LoseAnswer.Falls() || link.CutIn || chance.Chance(link.LossIn))
        {
            Note(letter, MessageFate.AnswerLost);
            return;
        }

        if (IsReset(link.ResetsIn, chance))
        {
            Break(letter, MessageFate.AnswerBroken, BrokenOff());
            return;
        }

        if (chance.Chance(link.Truncates))
        {
            (sent, forged) = (sent with { Body = sent.Body[..(int)chance.Below(sent.Body.Length)] }, Forgery.Truncated);
        }

        // What tells of contact: a signed answer to somebody who has an identity; an enrolment forgets by itself when the
        // contact before it was. A lie that the server signs may be taken for contact or not; what it must not do is act,
        // and that shows elsewhere.
        bool counts = letter.Path != AgentPaths.Enroll
            && (forged == Forgery.None ? reply.IsSigned : forged is not (Forgery.Downgrade or Forgery.RevokeStorm));
        Deliver(letter, sent, forged, counts ? letter.Delivered : _ => { });
    }

    private void Deliver(Letter letter, ServerReply reply, Forgery forged, Action<Forgery> delivered)
    {
        LinkTroubles link = letter.Till.Link;
        loop.After(Latency(link, letter.Chance) + link.Clogged(loop.NowUs, isOut: false), () =>
        {
            Note(letter, letter.Asked.IsAnswered ? MessageFate.TooLate
                : forged == Forgery.None ? MessageFate.Answered
                : forged == Forgery.Truncated ? MessageFate.AnswerBroken : MessageFate.Forged);
            if (!letter.Asked.IsAnswered)
            {
                delivered(forged);
                letter.Asked.Give(new UpstreamAnswer(reply.Status, reply.Body, reply.RetryAfter));
            }
        });
    }

    /// <summary>Whoever asked hears after a while that nothing comes.</summary>
    private void Break(Letter letter, MessageFate fate, NoContactException why) =>
        loop.After(Latency(letter.Till.Link, letter.Chance), () =>
        {
            Note(letter, fate);
            letter.Asked.Fail(why);
        });

    private void Note(Letter letter, MessageFate fate)
    {
        if (NotesMessages)
        {
            history.Add(new MessageEnded(loop.NowUs, letter.Till.Id, letter.Message, fate, letter.ArrivedUs));
        }
    }

    /// <summary>Before anything is sent the server has to show who it is, if it is there at all.</summary>
    public NoContactException? RefusalOf(SimTill till, UpstreamSettings settings)
    {
        NoContactException? refusal = server.Troubles.IsDown ? null : server.Troubles.Refuses(settings.VerificationTime);
        if (refusal is not null)
        {
            history.Add(new CertificateRefused(loop.NowUs, till.Id, refusal.Reason));
        }

        return refusal;
    }

    private ServerReply? Process(Letter letter) => server.Troubles.IsDown
        ? null
        : server.Handle(letter.Method, letter.Path, letter.Body, letter.CertificateEnds);

    private static NoContactException Unreachable(NoWay why) => why switch
    {
        NoWay.Refused => new NoContactException("refused", "The server refuses connections."),
        NoWay.NoName => new NoContactException("dns", "The server's name has no address."),
        _ => new NoContactException("tls_pin", "The server's key is not one of the pinned ones."),
    };

    private static NoContactException BrokenOff() =>
        new("incomplete", "The connection was closed before the answer was complete.");

    private static bool IsReset(double share, SimRandom chance) => share > 0 && chance.Chance(share);

    private static byte[] Portal(SimRandom chance) => chance.Chance(0.5)
        ? """<html><a href="/login">Free WiFi</a></html>"""u8.ToArray()
        : """{"error":"AGENT_SUSPENDED","directives":[{"type":"suspend"}]}"""u8.ToArray();

    /// <returns>The lie, or the true answer where there is nothing to make one of.</returns>
    private ServerReply Forge(Letter letter, Forgery how, ServerReply reply)
    {
        SimRandom chance = letter.Chance;
        switch (how)
        {
            case Forgery.Replayed:
                return _answersKept.TryGetValue(letter.Till.Id, out List<byte[]>? own)
                    ? reply with { Body = chance.Pick(own) }
                    : reply;
            case Forgery.CrossAgent:
                List<byte[]>[] others = [.. _answersKept.Where(k => k.Key != letter.Till.Id).Select(k => k.Value)];
                return others.Length == 0 ? reply : reply with { Body = chance.Pick(chance.Pick(others)) };
            case Forgery.Flipped:
                byte[] flipped = (byte[])reply.Body.Clone();
                flipped[chance.Below(flipped.Length)] ^= 1;
                return reply with { Body = flipped };
            case Forgery.Huge:
                byte[] huge = new byte[AgentApiLimits.AnswerBytes];
                reply.Body.CopyTo(huge, 0);
                return reply with { Body = huge };
            default:
                return server.Lie(how, reply) ?? reply;
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

    /// <summary>A request on its way, how far it came, and who waits for the answer.</summary>
    private sealed record Letter(
        SimTill Till, long Message, string Method, string Path, byte[] Body, UtcTime? CertificateEnds, SimRandom Chance,
        Asked<UpstreamAnswer> Asked, Action<Forgery> Delivered, long? ArrivedUs = null);
}

/// <summary>The agent's port onto the network.</summary>
internal sealed class UpstreamPort(SimTill till, Life life, SimNet net, string serverPin, SimRandom chance) : IUpstream
{
    private UpstreamSettings? _settings;
    private UtcTime? _certificateEnds;

    public void Configure(UpstreamSettings settings)
    {
        life.Loop.AssertThread();
        if (net.ReadsCertificates && (_settings is null || !_settings.ClientPem.Equals(settings.ClientPem)))
        {
            _certificateEnds = settings.ClientPem is { IsEmpty: false } pem ? EndOf(pem) : null;
        }

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

            if (net.RefusalOf(till, _settings) is { } refusal)
            {
                asked.Fail(refusal);
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
            net.Send(till, method, path, sent, _certificateEnds, deadline, chance, asked, till.NoteAnswer);
        });
    }

    private static UtcTime EndOf(ReadOnlyMemory<byte> pem)
    {
        using X509Certificate2 certificate = X509Certificate2.CreateFromPem(Encoding.ASCII.GetString(pem.Span));
        return UtcTime.From(new DateTimeOffset(certificate.NotAfter));
    }
}
