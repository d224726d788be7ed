using System.Collections.Immutable;
using System.Text;
using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core.Model;

/// <summary>
/// One till: the real core, and effects carried out against an honest little disk and TPM, one at a time, so that it
/// can be killed before and after each. What is said of a till at all times is checked here as it happens.
/// </summary>
internal sealed class ModelTill(Random random)
{
    private readonly Queue<AgentEffect> _toDo = new();
    private long _lastNonce;
    private int _boot = 1;
    private long _nextTicket = 1;

    public AgentState State { get; private set; } = AgentState.Initial(Given.Settings);

    public ModelDisk Disk { get; } = new();

    public bool IsUp { get; private set; }

    public long BootMs { get; private set; } = CoreDriver.FirstBootMs;

    public UtcTime Real { get; private set; } = Given.Start;

    public bool HasTpm { get; set; } = true;

    /// <summary>Durable writes from now until one fails; −1 = none does.</summary>
    public int WritesUntilFailure { get; set; } = -1;

    /// <summary>
    /// Boundaries from now until the process is killed at one; −1 = it is not. A boundary is before and after every
    /// effect, and between what an activity did outside and the event that tells of it.
    /// </summary>
    public int BoundariesUntilKill { get; set; } = -1;

    /// <summary>Effects carried out so far.</summary>
    public int EffectsDone { get; private set; }

    /// <summary>The activity effect that is under way.</summary>
    public AgentEffect? Under { get; private set; }

    /// <summary>The request that is out, if one is.</summary>
    public ModelRequest? Outstanding { get; private set; }

    public Action<ModelRequest> Sent { get; set; } = _ => { };

    public Action<AgentEffect> Done { get; set; } = _ => { };

    public Now Now => new($"boot-{_boot}", BootMs, BootMs, Real, Chance());

    public UtcTime TrustedNow => State.Clock.At(BootMs);

    public bool IsSettled => IsUp && State.Activity is not (Activity.Loading or Activity.LoadingSecrets);

    public void Start(bool reboot)
    {
        if (reboot)
        {
            _boot++;
            BootMs = 1_000;
        }

        IsUp = true;
        State = AgentState.Initial(Given.Settings);
        Step(new AgentEvent.Started());
    }

    public void Kill()
    {
        IsUp = false;
        BoundariesUntilKill = -1;
        (Under, Outstanding) = (null, null);
        _toDo.Clear();
    }

    public void Pass(long ms)
    {
        BootMs += ms;
        Real += TimeSpan.FromMilliseconds(ms);
    }

    public void Step(AgentEvent happened)
    {
        if (!IsUp)
        {
            return;
        }

        Now now = Now;
        if (EffectsDone % 97 == 0)
        {
            string first = Structure.Of(AgentCore.Step(State, happened, now));
            Assert.Equal(first, Structure.Of(AgentCore.Step(State, happened, now)));
        }

        StepResult result = AgentCore.Step(State, happened, now);
        State = result.State;
        foreach (AgentEffect effect in result.Effects)
        {
            _toDo.Enqueue(effect);
        }

        CarryOut();
    }

    public void Tick() => Step(new AgentEvent.Ticked());

    public void AskRotation() => Step(new AgentEvent.RotateAsked(_nextTicket++));

    public void AskInvalidation(long version) =>
        Step(new AgentEvent.InvalidateAsked(_nextTicket++, version, Force: true));

    public void AskEnrolment() => Step(new AgentEvent.EnrollAsked(_nextTicket++));

    /// <summary>Ends what is under way, but for a request.</summary>
    /// <param name="fails">It does not succeed, in one of the ways it may not.</param>
    /// <param name="enrol">The server's answer to an enrolment.</param>
    public void Complete(bool fails, Func<long>? enrol)
    {
        AgentEffect? under = Under;
        AgentEvent happened = !HasTpm ? Lost() : under switch
        {
            AgentEffect.LoadState => fails ? new AgentEvent.LoadFailed("EIO") : Disk.Load(BootMs),
            AgentEffect.LoadSecrets load => fails ? new AgentEvent.LoadFailed("EIO") : Opened(load),
            AgentEffect.StageSecret stage => Stage(stage, fails),
            AgentEffect.LoadPrevious load => fails ? new AgentEvent.LoadFailed("EIO") : Previous(load),
            AgentEffect.CommitGeneration commit => Commit(commit.Next, fails),
            AgentEffect.ProbeTpm => new AgentEvent.TpmReturned(),
            AgentEffect.WriteAnchors => fails ? new AgentEvent.AnchoringFailed("ENOSPC") : new AgentEvent.Anchored(),
            AgentEffect.Enroll => Enrol(fails, enrol!),
            _ => throw new InvalidOperationException($"Nothing to complete: {under}"),
        };
        if (!IsKilledHere())
        {
            Under = null;
            Step(happened);
        }
    }

    public void Answer(ModelAnswer answer)
    {
        if (!IsUp || Outstanding?.Nonce != answer.Nonce || IsKilledHere())
        {
            return;
        }

        (Under, Outstanding) = (null, null);
        Step(new AgentEvent.AnswerArrived(answer.Answer, Raw(answer.Answer), answer.SentBootMs));
    }

    public void TimeOut()
    {
        (Under, Outstanding) = (null, null);
        Step(new AgentEvent.ContactFailed("timeout", null));
    }

    public override string ToString()
    {
        RunState run = State.Run;
        return new StringBuilder()
            .Append(System.Globalization.CultureInfo.InvariantCulture, $"{(IsUp ? "up" : "down")} ")
            .Append(System.Globalization.CultureInfo.InvariantCulture, $"{State.Activity.GetType().Name} lock={State.Lock} ")
            .AppendJoin(' ', (State.Bound?.Secrets ?? []).Select(s => $"{s.Version}:{s.State}"))
            .Append(System.Globalization.CultureInfo.InvariantCulture, $" P={run.Pending?.Entry.Version}")
            .Append(System.Globalization.CultureInfo.InvariantCulture, $" sent={run.Pending?.ConfirmSent}")
            .Append(System.Globalization.CultureInfo.InvariantCulture, $" h={run.Highest} intent={run.Intent?.Reason}")
            .Append(System.Globalization.CultureInfo.InvariantCulture, $" rej={run.Reject?.Version}")
            .ToString();
    }

    private void CarryOut()
    {
        while (_toDo.TryDequeue(out AgentEffect? effect))
        {
            if (IsKilledHere())
            {
                return;
            }

            EffectsDone++;
            bool durable = effect is AgentEffect.SaveRun or AgentEffect.SaveRevocations or AgentEffect.KeepReceipt
                or AgentEffect.EraseSecret or AgentEffect.Audit { Durable: true };
            if (durable && WritesUntilFailure >= 0 && WritesUntilFailure-- == 0)
            {
                int done = State.LastEffects.Length - _toDo.Count - 1;
                _toDo.Clear();
                Step(new AgentEvent.EffectFailed("ENOSPC", done));
                return;
            }

            CarryOut(effect);
            Done(effect);
        }

        IsKilledHere();
    }

    private bool IsKilledHere()
    {
        if (BoundariesUntilKill == 0)
        {
            Kill();
            return true;
        }

        BoundariesUntilKill -= BoundariesUntilKill > 0 ? 1 : 0;
        return false;
    }

    private void CarryOut(AgentEffect effect)
    {
        switch (effect)
        {
            case AgentEffect.SaveRun save:
                Disk.Run = save.Run;
                break;
            case AgentEffect.SaveRevocations:
                Disk.RevocationsFile++;
                break;
            case AgentEffect.EraseSecret erase:
                Disk.Files = Disk.Files.Remove(erase.Version);
                break;
            case AgentEffect.Send send:
                Under = send;
                Outstanding = new ModelRequest(++_lastNonce, send.Plan, TrustedNow, BootMs);
                if (HasTpm)
                {
                    Sent(Outstanding);
                }

                break;
            case AgentEffect.LoadState or AgentEffect.LoadSecrets or AgentEffect.StageSecret
                or AgentEffect.LoadPrevious or AgentEffect.CommitGeneration or AgentEffect.ProbeTpm
                or AgentEffect.WriteAnchors or AgentEffect.Enroll:
                Under = effect;
                break;
        }
    }

    private AgentEvent.TpmFailed Lost()
    {
        Outstanding = null;
        return new AgentEvent.TpmFailed(TpmHealth.Unavailable, "gone");
    }

    private AgentEvent.SecretsLoaded Opened(AgentEffect.LoadSecrets load)
    {
        ILookup<bool, long> opens = load.Entries.ToLookup(Disk.Opens, e => e.Version);
        return new AgentEvent.SecretsLoaded([.. opens[true]], [.. opens[false]]);
    }

    private AgentEvent Stage(AgentEffect.StageSecret stage, bool fails)
    {
        long version = stage.Answer.SecretVersion;
        if (fails && random.Next(2) == 0)
        {
            return new AgentEvent.StagingFailed(version, RejectReasons.UnwrapFailed, "TPM_RC_VALUE");
        }

        Digest32 sha = Digest32.Sha256(stage.Raw.Span);
        Disk.Files = Disk.Files.SetItem(version, new SecretFile(stage.Answer, sha));
        return fails
            ? new AgentEvent.StagingFailed(version, null, "TPM_RC_RETRY")
            : new AgentEvent.SecretStaged(version, sha);
    }

    private AgentEvent.PreviousLoaded Previous(AgentEffect.LoadPrevious load)
    {
        ImmutableArray<SecretEntry> entries =
        [
            .. load.Versions.Where(p => Disk.Files.ContainsKey(p.Version)).Select(p =>
            {
                SecretFile file = Disk.Files[p.Version];
                return new SecretEntry(
                    p.Version, SecretState.Grace, file.Answer.Kcv, file.Sha256, TrustedNow, file.Answer.ValidFrom,
                    file.Answer.ValidUntil, p.GraceUntil);
            }),
        ];
        return new AgentEvent.PreviousLoaded(entries);
    }

    /// <summary>A failed write may have been carried out all the same; the same generation again is then a success.</summary>
    private AgentEvent Commit(BoundState next, bool fails)
    {
        bool again = next.Generation == Disk.Counter && Structure.Of(next) == Structure.Of(Disk.Bound);
        if (next.Generation != Disk.Counter + 1 && !again)
        {
            return new AgentEvent.GenerationFailed($"the counter is {Disk.Counter}", Contradiction: true);
        }

        if (!fails || random.Next(2) == 0)
        {
            Disk.Commit(next);
        }

        return fails
            ? new AgentEvent.GenerationFailed("EIO", Contradiction: false)
            : new AgentEvent.GenerationCommitted(next);
    }

    private AgentEvent Enrol(bool fails, Func<long> enrol)
    {
        Disk.Enrolling = true;
        if (fails)
        {
            return new AgentEvent.EnrollmentFailed("no_contact", "timeout", Resumable: true);
        }

        long highest = enrol();
        (Disk.EnrolledHighest, Disk.EnrolledAt) = (highest, Real);
        return new AgentEvent.Enrolled(Given.Identity, Given.Keyset, highest, Disk.Counter, Real, BootMs);
    }

    private UInt128 Chance() => new((ulong)random.NextInt64(), (ulong)random.NextInt64());

    private static byte[] Raw(ServerAnswer answer) => Encoding.UTF8.GetBytes($"{answer}");
}
