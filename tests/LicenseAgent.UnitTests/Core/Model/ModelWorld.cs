using LicenseAgent.Core;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Core.Model;

/// <summary>What may go wrong in a history.</summary>
[Flags]
public enum Faults
{
    None = 0,

    /// <summary>Requests and answers are lost, repeated, late.</summary>
    Network = 1,

    /// <summary>The process is killed, the machine is off.</summary>
    Kills = 2,

    /// <summary>Durable writes and loads fail, stagings and generations do not succeed.</summary>
    Storage = 4,

    /// <summary>The TPM goes away.</summary>
    Tpm = 8,

    /// <summary>Hours and days pass.</summary>
    Time = 16,

    /// <summary>The operators of till and server give orders.</summary>
    Orders = 32,

    /// <summary>The server is restored from a backup.</summary>
    Restores = 64,

    /// <summary>Files are lost, or put back older.</summary>
    Files = 128,
}

/// <summary>Till, network, server and what befalls them, by one seed: the same seed is the same history.</summary>
internal sealed partial class ModelWorld
{
    private readonly Random _random;
    private readonly Faults _faults;
    private readonly List<ModelRequest> _requests = [];
    private readonly List<ModelAnswer> _answers = [];
    private readonly List<string> _log = [];
    private readonly Queue<RunState> _oldRuns = new();
    private ModelServer _backup;
    private int _rotationSends;
    private int _checkIns;

    public ModelWorld(int seed, Faults faults)
    {
        (_random, _faults) = (new Random(seed), faults);
        Till = new ModelTill(_random);
        Server = new ModelServer();
        _backup = Server.Copy();
        Rules = new ModelInvariants(this);
        Till.Sent = OnSent;
        Till.Done = OnDone;
        Server.Committed = Rules.OnServerCommits;
    }

    public ModelTill Till { get; }

    public ModelServer Server { get; private set; }

    public ModelInvariants Rules { get; }

    /// <summary>Number of the request, and of the answer, that is lost; −1 = none is.</summary>
    public (int Request, int Answer) Lost { get; set; } = (-1, -1);

    /// <summary>Requests served so far.</summary>
    public int Served { get; private set; }

    /// <summary>The last things that happened.</summary>
    public IEnumerable<string> Story => _log.TakeLast(60);

    /// <summary>Enrolled and with a first secret, nothing going wrong.</summary>
    public void Begin()
    {
        Till.Start(reboot: false);
        Until(() => Till.State.Lock == LockReason.NotEnrolled);
        Till.AskEnrolment();
        Until(() => Views.Active(Till.State) is not null && Till.State.Activity is Activity.Idle);
        _backup = Server.Copy();
    }

    public void Run(int steps)
    {
        for (int i = 0; i < steps; i++)
        {
            if (!Till.IsUp || _random.Next(3) > 0)
            {
                Progress();
            }
            else
            {
                GoWrong();
            }

            Rules.Check();
        }
    }

    /// <summary>Nothing goes wrong any more, and all levels are lifted: both sides must agree before long.</summary>
    public void Heal()
    {
        Note("--- heal");
        (Till.HasTpm, Till.WritesUntilFailure, Till.BoundariesUntilKill) = (true, -1, -1);
        (Server.Suspended, Server.GraceLimit, Server.RotateAbove) = (false, null, 0);
        _requests.Clear();
        _answers.Clear();
        _rotationSends = 0;
        UtcTime end = Till.Real + TimeSpan.FromHours(6);
        _checkIns = 0;
        Until(() => IsAtRest() && _checkIns > 1, () => Till.Real < end && _rotationSends <= 20);

        // A restored or given-up version is found out by the next rotation only, which is due within a day.
        Assert.True(Agree() || _faults.HasFlag(Faults.Restores) || _faults.HasFlag(Faults.Files));
        long before = Server.Active;
        for (int i = 0; i < 2 && Server.Active == before; i++)
        {
            // The first may only bring back a version that one side had forgotten.
            _rotationSends = 0;
            end = Till.Real + TimeSpan.FromMinutes(10);
            Till.AskRotation();
            Until(
                () => IsAtRest() && Agree() && _rotationSends >= 2, () => Till.Real < end && _rotationSends <= 5);
        }

        Assert.True(Server.Active > before, "No new version comes about.");
        Rules.CheckHealed();
    }

    /// <summary>One thing happens as it should.</summary>
    public void Progress()
    {
        if (!Till.IsUp)
        {
            Till.Start(reboot: _random.Next(2) == 0);
            Note("till starts");
        }
        else if (Till.Outstanding is { } request && Till.HasTpm)
        {
            Exchange(request);
        }
        else if (Till.Under is not null)
        {
            Note($"done: {Till.Under.GetType().Name}");
            Till.Complete(fails: false, Server.Enrol);
        }
        else
        {
            long wake = AgentCore.NextWakeBootMs(Till.State, Till.Now);
            Till.Pass(wake - Till.BootMs);
            Till.Tick();
        }
    }

    public void Note(string what) => _log.Add($"{Till.Real} {what} | {Till} | {Server}");

    /// <summary>Nothing is under way anywhere that could still arrive.</summary>
    public bool IsQuiet => Till.IsSettled && Till.State.Activity is Activity.Idle
        && (_requests.Count == 0 || !_faults.HasFlag(Faults.Network));

    public bool IsAtRest() =>
        IsQuiet && Till.State is { Lock: null, Unfinished: null, RunUnsaved: false } && Till.State.Run.Pending is null
        && Till.State.Run is { Reject: null, Intent: null } && Views.Active(Till.State) is { } active
        && Till.State.Loaded.Contains(active.Version);

    private bool Agree() => Views.Active(Till.State)?.Version == Server.Active;

    public void Until(Func<bool> reached, Func<bool>? goOn = null)
    {
        for (int i = 0; !reached(); i++)
        {
            Assert.True(i < 2_000 && goOn?.Invoke() != false, "The history does not heal.");
            Progress();
            Rules.Check();
        }
    }

    private void Exchange(ModelRequest request)
    {
        if (_requests.Remove(request))
        {
            if (Served++ != Lost.Request)
            {
                _answers.Add(Serve(request));
            }

            _answers.RemoveAll(a => a.Nonce == request.Nonce && Served - 1 == Lost.Answer);
        }
        else if (_answers.Find(a => a.Nonce == request.Nonce) is { } answer)
        {
            _answers.Remove(answer);
            Note($"answer {answer.Answer.GetType().Name}");
            Till.Answer(answer);
        }
        else
        {
            Note("timeout");
            Till.Pass(30_000);
            Till.TimeOut();
        }
    }

    private ModelAnswer Serve(ModelRequest request)
    {
        ServerAnswer answer = Server.Process(request, Till.Real);
        Note($"server: {request.Plan.GetType().Name} -> {(answer as RefusalAnswer)?.Error ?? answer.GetType().Name}");
        return new ModelAnswer(request.Nonce, answer, request.SentBootMs);
    }

    private void OnSent(ModelRequest request)
    {
        _rotationSends += request.Plan is RequestPlan.CheckIn ? 0 : 1;
        _checkIns += request.Plan is RequestPlan.CheckIn ? 1 : 0;
        _requests.Add(request);
        Rules.OnSent(request.Plan);
    }

    private void OnDone(AgentEffect effect)
    {
        if (effect is AgentEffect.SaveRun save)
        {
            _oldRuns.Enqueue(save.Run);
            while (_oldRuns.Count > 10)
            {
                _oldRuns.Dequeue();
            }
        }

        Rules.OnDone(effect);
    }
}
