using LicenseAgent.Core;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core;

/// <summary>
/// What one rotation makes durable, with one write that fails; checks of every request that what it relies on is on
/// the disk when it leaves.
/// </summary>
internal sealed class FailingDisk(int failAt)
{
    private RunState _run = RunState.Empty;
    private BoundState? _bound;
    private int _writes;

    public bool HasFailed { get; private set; }

    public void Take(AgentState state) => (_run, _bound) = (state.Run, state.Bound);

    /// <summary>Carries out the effects of the last step; false when a write failed.</summary>
    public bool CarryOut(CoreDriver till)
    {
        foreach (AgentEffect effect in till.Effects)
        {
            bool durable = effect is AgentEffect.SaveRun or AgentEffect.EraseSecret or AgentEffect.KeepReceipt
                or AgentEffect.Audit { Durable: true };
            if (durable && _writes++ == failAt)
            {
                HasFailed = true;
                return false;
            }

            switch (effect)
            {
                case AgentEffect.SaveRun save:
                    _run = save.Run;
                    break;
                case AgentEffect.Send send:
                    CheckDurable(send.Plan);
                    break;
                case AgentEffect.StageSecret stage:
                    Assert.True(_run.Highest >= stage.Answer.SecretVersion);
                    break;
            }
        }

        return true;
    }

    /// <summary>Answers what is under way; false when nothing is.</summary>
    public bool Answer(CoreDriver till)
    {
        switch (till.State.Activity)
        {
            case Activity.Exchanging { Plan: RequestPlan.Prepare }:
                till.Answer(Given.Prepared(2, till.Real));
                return true;
            case Activity.Exchanging { Plan: RequestPlan.Confirm }:
                till.Answer(Given.Confirmed(2, till.Real, 0, new PreviousVersion(1, Given.Active(1).GraceUntil)));
                return true;
            case Activity.Exchanging { Plan: RequestPlan.CheckIn }:
                till.Answer(Given.CheckedIn(till.Real));
                return true;
            case Activity.Staging:
                till.Staged(2);
                return true;
            case Activity.Committing committing:
                _bound = committing.Next;
                till.Commit();
                return true;
            case Activity.Anchoring:
                till.Step(new AgentEvent.Anchored());
                return true;
            default:
                return false;
        }
    }

    private void CheckDurable(RequestPlan plan)
    {
        switch (plan)
        {
            case RequestPlan.Prepare prepare:
                Assert.Equal(prepare.RequestId, _run.Intent?.RequestId);
                break;
            case RequestPlan.Confirm confirm:
                Assert.Equal((confirm.RequestId, true), (_run.Pending?.ConfirmRequestId, _run.Pending?.ConfirmSent));
                break;
            case RequestPlan.CheckIn checkIn when checkIn.ActiveVersion != 0:
                Assert.Equal(checkIn.ActiveVersion, _bound?.Active?.Version);
                break;
        }
    }
}
