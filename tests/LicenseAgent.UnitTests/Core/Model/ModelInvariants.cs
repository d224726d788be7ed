using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using Xunit;

namespace LicenseAgent.UnitTests.Core.Model;

/// <summary>What must hold after every step of a history, whatever went wrong in it.</summary>
internal sealed class ModelInvariants(ModelWorld world)
{
    private readonly HashSet<long> _invalidated = [];
    private readonly HashSet<long> _ordered = [];
    private long _highest;
    private long _active;
    private long _minValid;
    private bool _isExcused;

    private ModelTill Till => world.Till;

    private ModelDisk Disk => world.Till.Disk;

    private BoundState? Bound => Disk.IsStateLost ? null : Disk.Bound;

    /// <summary>From here on the server may mint what the till cannot open, until both agree again.</summary>
    public void Excuse(string because)
    {
        _isExcused = true;
        world.Note($"excused: {because}");
    }

    /// <summary>An operator wants a version out of use; whether he learns of it or not, it may be done.</summary>
    public void OnOrdered(long version) => _ordered.Add(version);

    /// <summary>What was known nowhere else is forgotten with the run state.</summary>
    public void OnFilesLost()
    {
        Excuse("files were lost");
        _highest = Math.Max(Disk.SlotHighest, Disk.Run?.Highest ?? 0);
        _invalidated.RemoveWhere(v => Disk.Run?.Levels.Invalidated.Contains(v) != true && !IsBoundOutOfUse(v));
        _minValid = Math.Max(Bound?.MinValidVersion ?? 0, Disk.Run?.Levels.MinValidVersion ?? 0);
    }

    public void Check()
    {
        I03_I07_one_ACTIVE_or_none_by_order();
        I05_nothing_opens_that_is_out_of_use();
        I06_versions_never_go_down();
        I02_what_is_durable_and_in_time_serves();
        I08_the_server_mints_only_what_the_till_opens();
    }

    public void CheckHealed()
    {
        Assert.Equal(AgentMode.Normal, Views.Mode(Till.State, Till.TrustedNow));
        Assert.Equal(0, world.Server.Pending);
        Assert.Null(Till.State.Run.Pending);
        Assert.Null(Till.State.Run.Reject);
        Assert.Equal(world.Server.Active, Bound!.Active!.Version);
    }

    /// <summary>I08: nothing leaves that relies on something that is not durable.</summary>
    public void OnSent(RequestPlan plan)
    {
        switch (plan)
        {
            case RequestPlan.Prepare prepare:
                Assert.Equal(prepare.RequestId, Disk.Run?.Intent?.RequestId);
                break;
            case RequestPlan.Confirm confirm:
                PendingSecret? pending = Disk.Run?.Pending;
                Assert.Equal((confirm.RequestId, true), (pending?.ConfirmRequestId, pending?.ConfirmSent));
                Assert.True(Disk.Opens(pending!.Entry), "The confirmed secret is not on the disk.");
                break;
            case RequestPlan.Reject reject:
                Assert.Equal(reject.RequestId, Disk.Run?.Reject?.RequestId);
                Assert.True(Disk.Run!.Highest >= reject.Version, "A version was given back before it was noted.");
                break;
        }
    }

    public void OnDone(AgentEffect effect)
    {
        switch (effect)
        {
            case AgentEffect.StageSecret stage:
                Assert.True(Disk.Run!.Highest >= stage.Answer.SecretVersion, "A secret is used before it is noted.");
                break;
            case AgentEffect.EraseSecret erase:
                MayBeErased(erase.Version);
                break;
            case AgentEffect.CompleteInvalidate { RefusedBecause: null } done:
                Assert.True(Disk.Run!.Levels.Forbids(done.Version), "The operator was told too early.");
                _invalidated.Add(done.Version);
                break;
            case AgentEffect.Audit { Event: "pending_dropped" } dropped
                when dropped.Details.Any(d => d is ("why", "expired")):
                Excuse("PENDING came to its own end");
                break;
            case AgentEffect.SaveRun save:
                Assert.True(save.Run.Levels.MinValidVersion >= _minValid, "MinValid went down.");
                _minValid = save.Run.Levels.MinValidVersion;
                break;
        }
    }

    /// <summary>I08, the other side: at this moment the till has it durably, checked, and has said so.</summary>
    public void OnServerCommits(long version)
    {
        bool pending = Disk.Run?.Pending is { ConfirmSent: true } p && p.Entry.Version == version;
        bool active = Bound?.Active?.Version == version;
        Assert.True(_isExcused || pending || active || IsOutOfUse(version), "The server commits what the till has not.");
    }

    private void I03_I07_one_ACTIVE_or_none_by_order()
    {
        Disk.Bound?.CheckInvariants();
        if (Disk.Bound?.Active is { } active)
        {
            Assert.True(active.Version >= _active, "I06: ACTIVE went down.");
            _active = active.Version;
        }
        else
        {
            if (IsOutOfUse(_active))
            {
                _ordered.Add(_active);
            }

            Assert.True(_active == 0 || _ordered.Contains(_active), "I07: ACTIVE is gone and nobody ordered it.");
        }
    }

    private void I05_nothing_opens_that_is_out_of_use()
    {
        if (!Till.IsUp)
        {
            return;
        }

        foreach (UsableEntry usable in Views.Usable(Till.State))
        {
            Assert.False(IsOutOfUse(usable.Entry.Version), $"I05: v{usable.Entry.Version} opens again.");
            Assert.True(usable.End <= usable.Entry.GraceUntil, "I05: an end past grace_until.");
            Assert.Equal(1, Views.Usable(Till.State).Count(u => u.Entry.Version == usable.Entry.Version));
        }
    }

    private void I06_versions_never_go_down()
    {
        long durable = Math.Max(Disk.Run?.Highest ?? 0, Disk.SlotHighest);
        Assert.True(durable >= _highest, "I06: the highest version went down.");
        _highest = durable;
    }

    private void I02_what_is_durable_and_in_time_serves()
    {
        bool expected = Till.IsSettled && Till.HasTpm && Till.State.Lock is null && Till.State.Tpm == TpmHealth.Ok
            && Till.State.Activity is Activity.Idle && Till.State.LoadGate.IsOpen(Till.Now);
        if (expected && Bound?.Active is { } active && !IsOutOfUse(active.Version) && Disk.Opens(active)
            && !Till.State.Run.Levels.Forbids(active.Version))
        {
            Assert.Contains(active.Version, Views.Usable(Till.State).Select(u => u.Entry.Version));
        }
    }

    private void I08_the_server_mints_only_what_the_till_opens()
    {
        long minted = world.Server.Mints;
        if (minted == 0 || IsOutOfUse(minted) || IsOutOfUseHere(minted) || _ordered.Contains(minted))
        {
            return;
        }

        bool opens = Disk.Openable(Till.Real).Contains(minted);
        if (opens && world.IsQuiet && Till.State.Run.Pending is null && Bound?.Active?.Version == world.Server.Active)
        {
            _isExcused = false;
        }

        bool isOver = (world.Server.GraceUntil(minted) is { } end && Till.Real >= end)
            || (Disk.Run?.Pending?.Entry is { } p && p.Version == minted && Till.Real >= p.GraceUntil);
        Assert.True(opens || isOver || _isExcused, $"I08: v{minted} is minted and does not open.");
    }

    /// <summary>A secret that is needed is never erased.</summary>
    private void MayBeErased(long version)
    {
        SecretEntry? bound = Bound?.Secrets.FirstOrDefault(s => s.Version == version);
        bool needed = !IsOutOfUseHere(version) && bound is { State: SecretState.Active } && !IsRepairing;
        bool inGrace = !IsOutOfUseHere(version) && bound is { State: SecretState.Grace }
            && Till.Real + TimeSpan.FromMinutes(1) < bound.GraceUntil;
        bool pending = Disk.Run?.Pending?.Entry.Version == version && !IsOutOfUseHere(version);
        Assert.False(needed, $"v{version} was erased while ACTIVE.");
        Assert.False(inGrace, $"v{version} was erased before its end.");
        Assert.False(pending, $"v{version} was erased while PENDING.");
    }

    // A repair stages a bound version anew: the file is then PENDING's, and goes with it.
    private bool IsRepairing => Till.State.Lock == LockReason.SecretUnreadable;

    private bool IsBoundOutOfUse(long version) =>
        Bound is { } bound && (version < bound.HighestVersionSeen
            ? bound.Secrets.All(s => s.Version != version || s.State == SecretState.Invalidated)
            : bound.Secrets.Any(s => s.Version == version && s.State == SecretState.Invalidated));

    private bool IsOutOfUse(long version) => version < _minValid || _invalidated.Contains(version);

    private bool IsOutOfUseHere(long version) =>
        Till.State.Run.Levels.Forbids(version)
        || Disk.Run?.Levels.Forbids(version) == true
        || Bound?.Secrets.Any(s => s.Version == version && s.State == SecretState.Invalidated) == true;
}
