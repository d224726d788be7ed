using LicenseAgent.Sim.Campaign;
using LicenseAgent.Sim.History;

namespace LicenseAgent.Sim.Report;

/// <summary>The messages between one till and the server as lines between their lanes: down with a request, up with its
/// answer, ending in a cross where one was lost.</summary>
internal static class MessageLines
{
    // The last ones, which are those before the finding.
    private const int MessagesMax = 250;

    /// <param name="own">What happened to the till.</param>
    /// <param name="till">Where its lane ends.</param>
    /// <param name="server">Where the server's begins.</param>
    public static void Draw(Canvas canvas, IReadOnlyList<Happening> own, double till, double server)
    {
        ILookup<long, MessageEnded> ends = own.OfType<MessageEnded>().ToLookup(e => e.Message);
        Dictionary<long, string> verdicts = [];
        foreach (Received received in own.OfType<Received>())
        {
            verdicts[received.AtUs] = received.Verdict;
        }

        foreach (RequestLeft left in own.OfType<RequestLeft>().Where(l => canvas.Shows(
            l.AtUs, Math.Max(l.AtUs, ends[l.Message].Select(e => e.AtUs).DefaultIfEmpty(0).Max()))).TakeLast(MessagesMax))
        {
            if (!ends[left.Message].Any())
            {
                Cross("lost", left, left.AtUs, till, left.AtUs, server, "under way when the run was over");
            }

            foreach (MessageEnded end in ends[left.Message])
            {
                One(left, end);
            }
        }

        void One(RequestLeft left, MessageEnded end)
        {
            string verdict = end.ArrivedUs is { } at && verdicts.TryGetValue(at, out string? said) ? said : "";
            string told = $"{end.Fate} {verdict} at {VirtualTime.Text(end.AtUs)}";
            if (end.Fate == MessageFate.CopyArrived)
            {
                Whole("copy", left, left.AtUs, till, end.AtUs, server, told);
                return;
            }

            if (end.Fate == MessageFate.RequestLost)
            {
                Cross("lost", left, left.AtUs, till, left.AtUs, server, told);
                return;
            }

            long arrived = end.ArrivedUs ?? end.AtUs;
            if (end is { Fate: MessageFate.Forged, ArrivedUs: null })
            {
                // Somebody between them answered.
                Whole("made", left, end.AtUs, (till + server) / 2, end.AtUs, till, told);
                return;
            }

            Whole("request", left, left.AtUs, till, arrived, server, told);
            switch (end.Fate)
            {
                case MessageFate.NobodyThere: Mark(arrived, server, told); break;
                case MessageFate.AnswerLost: Cross("lost", left, arrived, server, arrived, till, told); break;
                case MessageFate.AnswerBroken: Cross("lost", left, arrived, server, end.AtUs, till, told); break;
                case MessageFate.Forged: Whole("made", left, arrived, server, end.AtUs, till, told); break;
                case MessageFate.TooLate: Whole("late", left, arrived, server, end.AtUs, till, told); break;
                default:
                    Whole(verdict is "ok" or "" ? "reply" : "refusal", left, arrived, server, end.AtUs, till, told);
                    break;
            }
        }

        void Whole(string style, RequestLeft left, long fromUs, double from, long toUs, double to, string told) =>
            canvas.Line(style, canvas.X(fromUs), from, canvas.X(toUs), to, Title(left, told));

        void Cross(string style, RequestLeft left, long fromUs, double from, long toUs, double to, string told)
        {
            (double x1, double x2, double half) = (canvas.X(fromUs), canvas.X(toUs), (from + to) / 2);
            double x = (x1 + x2) / 2;
            canvas.Line(style, x1, from, x, half, Title(left, told));
            canvas.Add($"<path class=\"cross\" d=\"M{Canvas.N(x - 3)} {Canvas.N(half - 3)}l6 6m0-6l-6 6\"/>");
        }

        void Mark(long at, double y, string told)
        {
            canvas.Add($"<path class=\"cross\" d=\"M{Canvas.N(canvas.X(at) - 3)} {Canvas.N(y - 3)}l6 6m0-6l-6 6\">"
                + $"<title>{Canvas.Safe(told)}</title></path>");
        }
    }

    private static string Title(RequestLeft left, string told) =>
        $"message {left.Message}, {left.Path}, left at {VirtualTime.Text(left.AtUs)}: {told}";
}
