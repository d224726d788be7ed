using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;

namespace LicenseAgent.Sim.Checkers;

/// <summary>
/// What a till shows as ACTIVE only rises. Files and TPM that are both put back to one time agree with each other, and
/// nothing on the machine tells them from that time (agent.md §6): where both came and the till has not served
/// in between, as it does once either was repaired, it is judged anew from what it then shows. So are files and server
/// that are both put back to before an enrolment and then enrolled: the numbers given out since are known to nobody.
/// </summary>
internal sealed class VersionsNeverGoDown : Checker
{
    public override string Id => "I06";

    public override string Claim => "Versions never go down, unless LOCKED says so";

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        foreach (string node in run.Nodes)
        {
            long active = 0;
            (bool files, bool tpm, bool server, bool anew) = (false, false, false, false);
            foreach (Happening h in run.Of(node))
            {
                switch (h)
                {
                    case FaultBegan { Kind: FaultKinds.DiskRestored }: files = true; break;
                    case FaultBegan { Kind: FaultKinds.TpmRolledBack }: tpm = true; break;
                    case FaultBegan { Kind: FaultKinds.ServerRestored }: server = true; break;
                    // A check-in does not name the highest version there was.
                    case Received { Action: "rotate-secret", Verdict: "ok" }: server = false; break;
                    case Ordered { What: "enroll --replace", Outcome: "200" }: anew = files && server; break;
                    case Seen { Active: not 0 } seen when seen.Mode != "LOCKED":
                        Judge(run);
                        bool isPutBack = (files && tpm) || anew;
                        if (seen.Active < active && !isPutBack)
                        {
                            yield return Broken(seen, $"ACTIVE went from {active} to {seen.Active}");
                        }

                        active = isPutBack ? seen.Active : Math.Max(active, seen.Active);
                        (files, tpm, anew) = (false, false, false);
                        break;
                }
            }
        }
    }
}

/// <summary>A kill or a power cut, wherever it comes, leaves a state that the next start can use.</summary>
internal sealed class CrashesLeaveAState : Checker
{
    public override string Id => "I07";

    public override string Claim => "A crash leaves old, old and PENDING, or new and GRACE; never nothing";

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        foreach (string node in run.Nodes)
        {
            Excuse excuse = new([
                .. FaultKinds.Tampering, .. FaultKinds.AnotherTpm, FaultKinds.TpmRolledBack,
            ])
            {
                AtStart = FaultKinds.Disk,
            };
            foreach (Happening h in run.Of(node))
            {
                excuse.On(h);
                if (h is Seen seen && !excuse.Holds)
                {
                    Judge(run);
                    if (seen.Lock is "state_rollback" or "state_corrupt" or "secret_unreadable")
                    {
                        yield return Broken(seen, $"LOCKED, {seen.Lock}, and nobody but a crash touched the disk");
                    }
                }
            }
        }
    }
}

internal sealed class ConfirmAfterDurable : Checker
{
    public override string Id => "I08";

    public override string Claim => "A confirm leaves only when a power cut could not undo what it says";

    public override IEnumerable<Violation> Check(RunRecord run) =>
        from left in Judge(run, run.History.OfType<ConfirmLeft>(), c => !c.SecretDurable || !c.PendingDurable)
        select Broken(left, $"confirm of v{left.Version}: "
            + $"{(left.SecretDurable ? "PENDING" : "its secret")} was not durable");
}

/// <summary>An answer that nobody signed for this request is no contact and changes nothing.</summary>
internal sealed class ForgedChangesNothing : Checker
{
    public override string Id => "I09";

    public override string Claim => "Replayed, foreign and unsigned answers change nothing";

    public override IReadOnlyList<string> Profiles => ["rotation", "swarm"];

    public override IEnumerable<Violation> Check(RunRecord run) =>
        from judged in Judge(
            run, run.History.OfType<AnswerJudged>().Where(a => a.Kind != "None"),
            a => a.ContactBeforeMs != a.ContactAfterMs)
        select Broken(judged, $"an answer that was {judged.Kind} counted as contact");
}

/// <summary>A nonce is accepted once per UID within 900 s, over restarts; a power cut may forget the last 100 ms.</summary>
internal sealed class NonceOnce : Checker
{
    private const long WindowUs = 900_000_000;
    private const long MayForgetUs = 100_000;

    // The log may be late by what an fsync takes, on top of the 100 ms; and clocks drift within the window.
    private const long SyncUs = 60_000;
    private const long DriftUs = 2_000_000;

    // A log that could not be written is tried again within a minute.
    private const long LogAgainUs = 120_000_000;

    public override string Id => "I11";

    public override string Claim => "A nonce is accepted once per UID within its window";

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        foreach (string node in run.Nodes)
        {
            Excuse excuse = new([.. FaultKinds.Disk.Except([FaultKinds.DiskStall]), .. FaultKinds.LogTampering]);
            Dictionary<(uint, Protocol.Encoding.Nonce16), long> accepted = [];
            List<long> cuts = [];
            foreach (Happening h in run.Of(node))
            {
                excuse.On(h);
                if (h is Ended { How: EndOf.PowerCut } or FaultBegan { Kind: FaultKinds.PowerCut or FaultKinds.DeadRtc })
                {
                    cuts.Add(h.AtUs);
                }
                else if (h is Validated { Status: 200 } v)
                {
                    Judge(run);

                    // What was accepted while the log could not be written, and just after, a crash forgets.
                    bool known = accepted.TryGetValue((v.Uid, v.Nonce), out long first)
                        && (excuse.LastUs == 0 || first > excuse.LastUs + LogAgainUs);
                    if (known && v.AtUs - first < WindowUs - DriftUs && !IsForgotten(first, cuts))
                    {
                        yield return Broken(v, $"nonce {v.Nonce} was accepted {(v.AtUs - first) / 1000} ms before");
                    }

                    accepted[(v.Uid, v.Nonce)] = v.AtUs;
                }
            }
        }
    }

    private static bool IsForgotten(long first, List<long> cuts) =>
        cuts.Any(cut => cut >= first && cut - first <= MayForgetUs + SyncUs);
}

/// <summary>
/// Where the log cannot be written a till that is to go on says so in the log afterwards; one that is to refuse has no
/// answer without a record, whatever its disk does.
/// </summary>
internal sealed class AuditedBeforeAnswer : Checker
{
    // A log that could not be written is tried again within a minute.
    private const long LogAgainUs = 120_000_000;

    public override string Id => "I12";

    public override string Claim => "An accepted nonce is in the log before the answer leaves";

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        foreach (string node in run.Nodes)
        {
            Excuse excuse = new([.. FaultKinds.Disk.Except([FaultKinds.DiskStall])]);
            foreach (Happening h in run.Of(node))
            {
                excuse.On(h);
                bool explained = !run.Plan.Knobs.RefuseWithoutAudit
                    && excuse.LastUs != 0 && h.AtUs <= excuse.LastUs + LogAgainUs;
                if (h is Validated { Status: 200 } v && !explained)
                {
                    Judge(run);
                    if (!v.AuditedFirst)
                    {
                        yield return Broken(v, $"nonce {v.Nonce} was answered and is not in the log");
                    }
                }
            }
        }
    }
}
