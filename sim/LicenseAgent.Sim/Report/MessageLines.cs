using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.History;

namespace LicenseAgent.Sim.Report;

/// <summary>
/// The messages between one till and the server as lines between their lanes: down with a request, up with its answer,
/// broken off with a cross where one was lost.
/// </summary>
/// <param name="till">Where its lane ends.</param>
/// <param name="server">Where the server's begins.</param>
internal sealed class MessageLines(Canvas canvas, double till, double server)
{
    // The last ones, which are those before the finding.
    private const int MessagesMax = 250;

    public static bool Fit(IEnumerable<Happening> own) => own.OfType<RequestLeft>().Count() <= MessagesMax;

    /// <param name="own">What happened to the till.</param>
    public void Draw(IReadOnlyList<Happening> own)
    {
        ILookup<long, MessageEnded> ends = own.OfType<MessageEnded>().ToLookup(e => e.Message);
        Dictionary<long, string> verdicts = [];
        foreach (Received received in own.OfType<Received>())
        {
            verdicts[received.AtUs] = received.Verdict;
        }

        foreach (RequestLeft left in own.OfType<RequestLeft>().Where(l => canvas.Shows(
            l.AtUs, ends[l.Message].Select(e => e.AtUs).Append(l.AtUs).Max())).TakeLast(MessagesMax))
        {
            string message = $"message {left.Message}, {left.Path}, left at {VirtualTime.Text(left.AtUs)}";
            if (!ends[left.Message].Any())
            {
                Lost(left.AtUs, till, left.AtUs, server, $"{message}: under way when the run was over");
            }

            foreach (MessageEnded end in ends[left.Message])
            {
                string verdict = end.ArrivedUs is { } at ? verdicts.GetValueOrDefault(at, "") : "";
                One(left, end, verdict, $"{message}: {end.Fate} {verdict} at {VirtualTime.Text(end.AtUs)}");
            }
        }
    }

    private void One(RequestLeft left, MessageEnded end, string verdict, string told)
    {
        long arrived = end.ArrivedUs ?? end.AtUs;
        switch (end)
        {
            case { Fate: MessageFate.CopyArrived }:
                Whole("copy", left.AtUs, till, end.AtUs, server, told);
                return;
            case { Fate: MessageFate.RequestLost }:
                Lost(left.AtUs, till, left.AtUs, server, told);
                return;
            case { Fate: MessageFate.Forged, ArrivedUs: null }:
                // Somebody between them answered.
                Whole("made", end.AtUs, (till + server) / 2, end.AtUs, till, told);
                return;
        }

        Whole("request", left.AtUs, till, arrived, server, told);
        switch (end.Fate)
        {
            case MessageFate.NobodyThere: Cross(canvas.X(arrived), server); break;
            case MessageFate.AnswerLost: Lost(arrived, server, arrived, till, told); break;
            case MessageFate.AnswerBroken: Lost(arrived, server, end.AtUs, till, told); break;
            case MessageFate.Forged: Whole("made", arrived, server, end.AtUs, till, told); break;
            case MessageFate.TooLate: Whole("late", arrived, server, end.AtUs, till, told); break;
            default:
                Whole(verdict is "ok" or "" ? "reply" : "refusal", arrived, server, end.AtUs, till, told);
                break;
        }
    }

    private void Whole(string style, long fromUs, double from, long toUs, double to, string told) =>
        canvas.Line(style, canvas.X(fromUs), from, canvas.X(toUs), to, told);

    /// <summary>Half of the way.</summary>
    private void Lost(long fromUs, double from, long toUs, double to, string told)
    {
        (double begin, double end, double half) = (canvas.X(fromUs), (canvas.X(fromUs) + canvas.X(toUs)) / 2, (from + to) / 2);
        canvas.Line("lost", begin, from, end, half, told);
        Cross(end, half);
    }

    private void Cross(double x, double y) =>
        canvas.Add($"<path class=\"cross\" d=\"M{Canvas.N(x - 3)} {Canvas.N(y - 3)}l6 6m0-6l-6 6\"/>");
}
