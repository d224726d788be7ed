using LicenseAgent.Protocol.Messages;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;

namespace LicenseAgent.Sim.Checkers;

/// <summary>
/// A refusal that the server signed is contact, like any answer of it; and nobody else's word does anything: a till is
/// suspended, and a license revoked, only where the server said so.
/// </summary>
internal sealed class RefusalsAreContact : Checker
{
    public override string Id => "I16";

    public override string Claim => "Authenticated refusals never look like an outage; unauthenticated answers never act";

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        foreach (string node in run.Nodes)
        {
            // An answer waits while the loop waits for the disk; one under a new key is none before the keyset is there,
            // and files put back bring the keyset of their time.
            Excuse slow = new([
                .. FaultKinds.Disk, .. FaultKinds.Tampering, .. FaultKinds.AnotherTpm,
                FaultKinds.KeyRollover,
            ]);
            bool suspended = false;
            HashSet<string> revoked = new(StringComparer.Ordinal);
            foreach (Happening h in run.Of(node))
            {
                slow.On(h);
                switch (h)
                {
                    case AnswerJudged { Kind: "None", ContactBeforeMs: { } before } a when !slow.Holds:
                        Judge(run);
                        if (a.ContactAfterMs == before)
                        {
                            yield return Broken(a, "a signed answer was delivered and is no contact");
                        }

                        break;
                    case Ordered { What: OrderKinds.Suspend }: suspended = true; break;
                    case Revoked r: revoked.Add(r.License); break;
                    case Seen { Lock: "suspended" } s when !suspended:
                        yield return Broken(s, "the till is suspended, and the server never said so");
                        break;
                    case Validated { Reason: "REVOKED" } v when !revoked.Contains(v.License):
                        yield return Broken(v, $"{v.License} is REVOKED, and the server never said so");
                        break;
                }
            }
        }
    }
}

/// <summary>Users nobody listed get no answer, and users without a role no effect.</summary>
internal sealed class OnlyListedPeers : Checker
{
    public override string Id => "I22";

    public override string Claim => "Only listed peers get answers; roles hold for every management call";

    public override IEnumerable<Violation> Check(RunRecord run) =>
        from call in Judge(
            run, run.History.OfType<OddCall>().Where(c => c.Kind is "stranger" or "viewer"),
            c => c.Status is not (401 or 403))
        select Broken(call, $"{call.Kind} called {call.What} and was answered {call.Status}");
}

/// <summary>Nonsense is refused as such. Bytes on real sockets are another suite's.</summary>
internal sealed class NonsenseIsRefused : Checker
{
    public override string Id => "I23";

    public override string Claim => "Any bytes in a call are answered, as a refusal, and harm nobody";

    public override IEnumerable<Violation> Check(RunRecord run) =>
        from call in Judge(
            run, run.History.OfType<OddCall>().Where(c => c.Kind is "garbage" or "oversized"),
            c => c.Kind == "garbage" ? c.Status is not (>= 400 and < 500 or 503) : c.Status is not (413 or 429 or 503))
        select Broken(call, $"{call.Kind} on {call.What} was answered {call.Status}");
}

/// <summary>The agent asks its TPM for what it needs, and never with a wrong auth value.</summary>
internal sealed class TpmUseIsBounded : Checker
{
    // A check-in takes a signature, a clock and a nonce; an hour a checkpoint and a mirror; a start and a rotation
    // what they take. Some of it is repeated where commands fail.
    private const long PerCheckIn = 8;

    // DEGRADED, check-in and rotation are both tried so often.
    private const int RetryS = 120;
    private const long PerHour = 60;
    private const long PerProcess = 80;
    private const long PerRotation = 60;

    public override string Id => "I26";

    public override string Claim => "TPM use is bounded, and never a step towards lockout";

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        foreach (TpmUsed used in run.History.OfType<TpmUsed>())
        {
            Judge(run);
            long hours = (used.AtUs / 3_600_000_000) + 1;
            long checkIns = hours * 3_600 / Math.Min(run.Plan.Knobs.CheckInS, RetryS);
            long rotations = run.Of(used.Node).OfType<Received>().LongCount(
                r => r.Node == used.Node && r.Action is "rotate-secret" or "confirm-rotation" or "reject-rotation");
            long allowed = (checkIns * PerCheckIn) + (hours * PerHour) + (used.Processes * PerProcess)
                + (rotations * PerRotation);
            if (used.AuthFailures > 0)
            {
                yield return Broken(used, $"{used.AuthFailures} commands had a wrong auth value");
            }
            else if (used.Commands > allowed)
            {
                yield return Broken(used, $"{used.Commands} commands, {allowed} are explained");
            }
        }
    }
}

/// <summary>A program that is too old for the files refuses to start and changes no byte of them.</summary>
internal sealed class NewerFilesAreLeft : Checker
{
    public override string Id => "I28";

    public override string Claim => "A newer format is refused untouched";

    public override IReadOnlyList<string> Profiles => ["rotation", "swarm"];

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        foreach (string node in run.Nodes)
        {
            // Other files than it was started on.
            Excuse excuse = new([.. FaultKinds.Tampering.Except(FaultKinds.LogTampering), FaultKinds.OlderFormat]);
            long beganUs = 0;
            foreach (Happening h in run.Of(node))
            {
                excuse.On(h);
                if (h is FaultBegan { Kind: FaultKinds.NewerFormat })
                {
                    beganUs = h.AtUs;
                }
                else if (h is NewerFormatLeft left && (excuse.LastUs == 0 || excuse.LastUs < beganUs))
                {
                    Judge(run);
                    if (!left.IsUntouched)
                    {
                        yield return Broken(left, $"{left.File} is of a newer program, and the state folder was changed");
                    }
                    else if (!left.IsRefused)
                    {
                        yield return Broken(left, $"the program runs, and {left.File} is of a newer one");
                    }
                }
            }
        }
    }
}

/// <summary>Software keys are never taken up where the configuration does not allow them, whatever the TPM does.</summary>
internal sealed class NoWeakerProtection : Checker
{
    public override string Id => "I10";

    public override string Claim => "No weaker protection when the TPM fails";

    public override IEnumerable<Violation> Check(RunRecord run) =>
        from reported in Judge(run, run.History.OfType<Reported>(), r => r.Protection != Protections.Tpm)
        select Broken(reported, $"the till signs with keys kept by {reported.Protection}");
}

/// <summary>What a till answers, sends, logs, publishes and leaves on its disk holds no secret that is not wrapped.</summary>
internal sealed class NoSecretInClear : Checker
{
    public override string Id => "I01";

    public override string Claim => "A secret is never in an answer, request, log line, metric, log or file in clear";

    public override IEnumerable<Violation> Check(RunRecord run)
    {
        foreach (Happening h in run.History)
        {
            if (h is LookedForSecrets { Secrets: > 0 } looked)
            {
                Judge(run, looked.Places);
            }
            else if (h is SecretInClear found)
            {
                yield return Broken(found, $"the secret of v{found.Version} stands in {found.Place}");
            }
        }
    }
}
