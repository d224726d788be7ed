namespace LicenseServer.Rules;

/// <summary>What a <c>rotate-secret</c> request says, judged as far as keys are needed for it.</summary>
/// <param name="Current">ACTIVE at the agent, 0 = none (c).</param>
/// <param name="HighestSeen">Highest version the agent ever saw (h).</param>
/// <param name="Recovery">The agent lost its state and asks for what it had.</param>
/// <param name="KcvRight">The key check value is that of (agent, c) in a known epoch; for c = 0: it is empty.</param>
/// <param name="CurrentRetired">c is INVALIDATED or BURNED here.</param>
internal readonly record struct PrepareFacts(
    long Current, long HighestSeen, bool Recovery, bool KcvRight, bool CurrentRetired);

/// <summary>What a <c>confirm-rotation</c> request says.</summary>
internal readonly record struct ConfirmFacts(long Version, bool ProofRight);

internal enum RotationAnswer
{
    /// <summary>The version of the decision is sent, wrapped, or confirmed.</summary>
    Granted,
    VersionConflict,
    RejectedProof,
}

/// <summary>The answer, its version, what it does, and how the agent's versions stand afterwards.</summary>
internal sealed record RotationDecision(
    RotationAnswer Answer, long Version, AgentVersions After, IReadOnlyList<VersionStep> Steps);

/// <summary>
/// The server's side of rotation. Pure: the same versions and the same facts always give the same decision. Two
/// invariants carry everything: a number given out is never given to mean another secret, and the server mints under
/// a version only after its agent has proven that it can open it.
/// </summary>
internal static class RotationRules
{
    public static RotationDecision Prepare(AgentVersions known, PrepareFacts facts)
    {
        if (facts.Current >= known.Active && !facts.KcvRight) return Refuse(RotationAnswer.VersionConflict, known);

        // What was retired by order or by the agent itself never becomes ACTIVE again because an old request says so.
        var retired = facts.CurrentRetired || facts.Current < known.InvalidBelow;
        var current = retired ? 0 : facts.Current;
        var next = new Draft(known);
        next.Raise(Math.Max(facts.Current, facts.HighestSeen));

        if (current > known.Active)
        {
            next.Adopt(current);
        }
        else if (current < known.Active)
        {
            // The agent accepts nothing below its highest, so only a version at or above it can be what it lost.
            var lost = facts.HighestSeen < known.Active || (facts.Recovery && facts.HighestSeen == known.Active);
            if (lost) return next.Resend();
            if (!facts.Recovery) next.GiveUp(facts.HighestSeen);
        }

        return next.GivePending(facts.HighestSeen);
    }

    /// <summary>
    /// Prepare, signed by the software key of an agent whose TPM is lost. What was made for the TPM is never sent
    /// again, for it would leave its protection: it stays as it is until the confirm, and PENDING makes way.
    /// </summary>
    /// <param name="isSoftware">Whether a version was made for the software key.</param>
    public static RotationDecision PrepareSoftware(
        AgentVersions known, PrepareFacts facts, Func<long, bool> isSoftware)
    {
        var hasActive = known.Active != 0 && isSoftware(known.Active);
        var hasPending = known.Pending != 0 && isSoftware(known.Pending);
        if (hasActive) return Prepare(known, facts);
        if (facts.Current >= known.Active && !facts.KcvRight) return Refuse(RotationAnswer.VersionConflict, known);
        var next = new Draft(known);
        next.Raise(Math.Max(facts.Current, facts.HighestSeen));
        if (!hasPending) next.BurnPending();
        return next.GivePending(facts.HighestSeen);
    }

    public static RotationDecision Confirm(AgentVersions known, ConfirmFacts facts)
    {
        var version = facts.Version;
        var isKnown = version != 0 && (version == known.Pending || version == known.Active);
        // Above everything ever given out, yet provably held: the server was restored after it gave it out.
        var isAhead = version > known.Highest && version >= known.InvalidBelow && facts.ProofRight;
        if (!isKnown && !isAhead) return Refuse(RotationAnswer.VersionConflict, known);
        if (!facts.ProofRight) return Refuse(RotationAnswer.RejectedProof, known);
        if (version == known.Active) return new RotationDecision(RotationAnswer.Granted, version, known, []);
        return new Draft(known).Commit(version);
    }

    /// <summary>Rejecting PENDING burns its number; rejecting anything else is answered and changes nothing.</summary>
    public static RotationDecision Reject(AgentVersions known, long version)
    {
        var next = new Draft(known);
        if (version != 0 && version == known.Pending) next.BurnPending();
        return next.Grant(version);
    }

    /// <summary>The operator's order that nothing below <paramref name="version"/> lives on, PENDING
    /// included.</summary>
    public static RotationDecision InvalidateBelow(AgentVersions known, long version)
    {
        var next = new Draft(known with { InvalidBelow = Math.Max(known.InvalidBelow, version) });
        // Numbers below the order are used up: the next one given out must be one that the order leaves alone.
        next.Raise(version - 1);
        if (known.Pending < version) next.BurnPending();
        if (known.Active < version) next.GiveUp(highestSeen: 0);
        return next.Grant(version);
    }

    private static RotationDecision Refuse(RotationAnswer answer, AgentVersions known) => new(answer, 0, known, []);

    private sealed class Draft(AgentVersions known)
    {
        private readonly List<VersionStep> _steps = [];
        private AgentVersions _next = known;

        public void Raise(long version) => _next = _next with { Highest = Math.Max(_next.Highest, version) };

        public void Adopt(long version)
        {
            // What is PENDING here was confirmed before the restore: the same number, not one to burn.
            if (_next.Pending == version) _next = _next with { Pending = 0 };
            if (_next.Pending < version) BurnPending();
            _steps.Add(new VersionStep.Adopt(version));
            _next = _next with { Active = version };
        }

        public RotationDecision Commit(long version)
        {
            Raise(version);
            if (_next.Pending != version) BurnPending();
            _steps.Add(new VersionStep.Commit(version));
            _next = _next with { Active = version, Pending = 0 };
            return Grant(version);
        }

        public RotationDecision Resend()
        {
            _steps.Add(new VersionStep.Resend(_next.Active));
            return Grant(_next.Active);
        }

        public void GiveUp(long highestSeen)
        {
            if (_next.Active != 0) _steps.Add(new VersionStep.GiveUp(_next.Active));
            _next = _next with { Active = 0 };
            // A PENDING that the agent has already seen was given up together with ACTIVE.
            if (_next.Pending <= highestSeen) BurnPending();
        }

        public RotationDecision GivePending(long highestSeen)
        {
            if (_next.Pending < highestSeen) BurnPending();
            if (_next.Pending == 0)
            {
                var version = _next.Highest + 1;
                _steps.Add(new VersionStep.Prepare(version));
                _next = _next with { Highest = version, Pending = version };
            }

            return Grant(_next.Pending);
        }

        public void BurnPending()
        {
            if (_next.Pending != 0) _steps.Add(new VersionStep.Burn(_next.Pending));
            _next = _next with { Pending = 0 };
        }

        public RotationDecision Grant(long version) => new(RotationAnswer.Granted, version, _next, _steps);
    }
}
