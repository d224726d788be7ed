using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;

namespace LicenseAgent.Sim.Report;

/// <summary>What happenings have in common: the names of versions, licenses, nonces, operations and messages in them.</summary>
internal sealed class Marks
{
    private readonly IReadOnlyList<Happening> _all;
    private readonly Dictionary<(string Node, long AtUs), string> _messages = [];
    private readonly string?[] _answers;
    private readonly bool[] _changes;

    public Marks(IReadOnlyList<Happening> all)
    {
        _all = all;
        _answers = new string?[all.Count];
        _changes = new bool[all.Count];
        Dictionary<string, string> delivered = new(StringComparer.Ordinal);
        Dictionary<string, Seen> shown = new(StringComparer.Ordinal);
        for (int i = 0; i < all.Count; i++)
        {
            switch (all[i])
            {
                case RequestLeft left:
                    _messages[(left.Node, left.AtUs)] = Message(left.Message);
                    break;
                case MessageEnded ended:
                    if (ended.ArrivedUs is { } arrived)
                    {
                        _messages[(ended.Node, arrived)] = Message(ended.Message);
                    }

                    delivered[ended.Node] = Message(ended.Message);
                    break;
                case AnswerJudged judged:
                    _answers[i] = delivered.GetValueOrDefault(judged.Node);
                    break;
                case Seen seen:
                    _changes[i] = !shown.TryGetValue(seen.Node, out Seen? before)
                        || (before.Active, before.Pending) != (seen.Active, seen.Pending);
                    shown[seen.Node] = seen;
                    break;
            }
        }
    }

    public IEnumerable<string> Of(int i)
    {
        Happening h = _all[i];
        return h switch
        {
            Validated v => [v.Nonce.ToString(), v.License, .. Versions(v.TokenVersion)],
            Minted m => [m.License, .. Versions(m.Version)],
            Revoked r => [r.License, .. At(h)],
            VersionChanged v => [.. Versions(v.Version), .. At(h)],
            ConfirmLeft c => [.. Versions(c.Version), .. At(h)],
            RequestLeft l => [Message(l.Message)],
            MessageEnded e => [Message(e.Message)],

            // Every check-in names the ACTIVE version, which says nothing.
            Received { Action: "check-in" } r => [.. Operation(r), .. At(h)],
            Received r => [.. Operation(r), .. Versions(r.Version), .. At(h)],
            Reported or WitnessGiven or CloneSuspected => At(h),
            AnswerJudged => _answers[i] is { } message ? [message] : [],
            Ordered o => Named(o),
            Seen s when _changes[i] => Versions(s.Active, s.Pending),
            _ => [],
        };
    }

    /// <summary>
    /// What of it is looked for in turn. Not the other versions and licenses in it: from one to the next they would lead
    /// through the whole run.
    /// </summary>
    public IEnumerable<string> LeadingOnFrom(int i)
    {
        Happening h = _all[i];
        return h switch
        {
            Validated v => [v.Nonce.ToString()],
            Received r => [.. Operation(r), .. At(h)],
            RequestLeft or MessageEnded or AnswerJudged => Of(i),
            VersionChanged or ConfirmLeft or Revoked or Reported or WitnessGiven or CloneSuspected => At(h),
            _ => [],
        };
    }

    private IEnumerable<string> At(Happening h) =>
        _messages.TryGetValue((h.Node, h.AtUs), out string? message) ? [message] : [];

    private static string Message(long number) => $"message {number}";

    // No version has the number 0.
    private static IEnumerable<string> Versions(params long[] numbers) =>
        numbers.Where(n => n > 0).Select(n => $"v{n}");

    private static IEnumerable<string> Operation(Received received) =>
        received.Operation.Length > 0 ? [$"operation {received.Operation}"] : [];

    private static IEnumerable<string> Named(Ordered order)
    {
        string last = order.What.Split(' ')[^1];
        return last.StartsWith("lic-", StringComparison.Ordinal) ? [last]
            : order.What.StartsWith(OrderKinds.Invalidate, StringComparison.Ordinal) ? [$"v{last}"] : [];
    }
}
