using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Chaos.Sweep;

/// <summary>The invariants of the testbed on what lies on disk; each finding begins with its id.</summary>
internal sealed class Judge(Scenario scenario, Books? before)
{
    private readonly List<string> _broken = [];

    public string Broken => string.Join("; ", _broken);

    private long Old => before?.Active ?? 0;

    private long New => scenario.ActiveAfter;

    /// <summary>What a strike in the middle may leave.</summary>
    public void AtRest(Books left, AuditBooks log)
    {
        Always(left, log);
        SecretState? old = left.Bound?.Secrets.FirstOrDefault(s => s.Version == Old)?.State;
        Require(left.Active == Old || left.Active == New, $"I07: ACTIVE is {left.Active}, not {Old} or {New}.");
        Require(
            left.Active == Old || Old == 0 || old == SecretState.Grace, $"I07: {New} is ACTIVE and {Old} is {old}.");
        Require(left.Pending == 0 || left.Pending == New, $"I07: PENDING is {left.Pending}.");
        if (left.Server.Active == New && New != Old)
        {
            Require(
                left.Active == New || left.Run.Pending is { ConfirmSent: true } pending && pending.Entry.Version == New,
                $"I08: the server uses {New} and the agent has no confirm of it on disk.");
            Digest32? expected = left.Active == New
                ? left.Bound!.Active!.FileSha256
                : left.Run.Pending?.Entry.FileSha256;
            Require(
                expected is not null && left.FileOf(New) == expected,
                $"I08: the server uses {New} and the file of it is not whole.");
        }
        else
        {
            Require(left.Active == Old, $"I08: {New} is ACTIVE on the agent and not on the server.");
        }
    }

    /// <summary>What holds when everything has come to rest again.</summary>
    public void AtEnd(Books end, AuditBooks log)
    {
        Always(end, log);
        Require(end.Agree, $"I02: the sides do not agree: {end}.");
        Require(end.Active == New, $"The operation was never completed: {end}.");
        Require(end.Server.Highest == New, $"A version was given out for nothing: highest {end.Server.Highest}.");
        RequireRecords(end, log);
    }

    /// <param name="since">The log when the first of them was asked for.</param>
    /// <param name="answered">Applications have been answered so often since.</param>
    public void Validations(AuditBooks since, AuditBooks log, int answered)
    {
        (long told, long lost) = ToldOf(since, log);
        Require(
            told + lost >= answered,
            $"I12: {answered} validations were answered, {told} are told of, and gaps stand for {lost}.");
    }

    /// <summary>Records of validations since then, and how many records the gaps since then stand for: what could not be
    /// written is counted, not forgotten.</summary>
    public static (long Told, long Lost) ToldOf(AuditBooks since, AuditBooks log) => (
        log.Validations.Count(seq => seq > since.End.Seq),
        log.Gaps.Where(gap => gap.Seq > since.End.Seq).Sum(gap => gap.Records));

    public void Tokens(string what, bool valid, bool expected, string reason) =>
        Require(valid == expected, expected ? $"I02, I04: {what} is {reason}." : $"I05: {what} is valid.");

    public void Error(string error) => _broken.Add(error);

    private void Always(Books books, AuditBooks log)
    {
        try
        {
            books.Bound?.CheckInvariants();
        }
        catch (InvariantBroken e)
        {
            _broken.Add(e.Message);
        }

        Require(books.Server.Versions.Count(v => v.State == "ACTIVE") <= 1, "I03: the server has two ACTIVE.");
        Require(books.Server.Versions.Count(v => v.State == "PENDING") <= 1, "I03: the server has two PENDING.");
        if (before is not null)
        {
            Require(books.Highest >= before.Highest, $"I06: highest went from {before.Highest} to {books.Highest}.");
            Require(
                books.Bound?.Generation >= before.Bound?.Generation,
                $"I06: generation went from {before.Bound?.Generation} to {books.Bound?.Generation}.");
        }

        foreach (var finding in log.Findings)
            _broken.Add($"I18: {finding.File}:{finding.Line}: {finding.Code}: {finding.Detail}");
    }

    // I20: each generation since the beginning, and the version that became ACTIVE, is told of once.
    private void RequireRecords(Books end, AuditBooks log)
    {
        long first = (before?.Bound?.Generation ?? end.Bound!.Generation - 1) + 1;
        for (long generation = first; generation <= end.Bound!.Generation; generation++)
        {
            int told = log.Transitions.Count(t => t is { Event: "generation_committed", Outcome: "ok" }
                && t.Op == $"generation-{generation}");
            Require(told == 1, $"I20: generation {generation} is told of {told} times.");
        }

        if (New != Old)
        {
            int staged = log.Transitions.Count(t => t is { Event: "secret_staged", Outcome: "ok" });
            Require(staged == New, $"I20: {New} versions were staged and {staged} are told of.");
        }

        if (scenario.ToldOf is { } wanted)
            Require(log.Transitions.Contains(wanted), $"I20: nothing tells of {wanted}.");
        if (scenario.OutOfUse is { } gone)
        {
            int told = log.Transitions.Count(t => t.Event == "secret_invalidated" && t.Op == $"v{gone}");
            Require(told == 1, $"I20: the invalidation of {gone} is told of {told} times.");
        }
    }

    private void Require(bool holds, string broken)
    {
        if (!holds)
            _broken.Add(broken);
    }
}
