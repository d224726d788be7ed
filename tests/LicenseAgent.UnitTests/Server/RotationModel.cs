using LicenseServer.Rules;

namespace LicenseAgent.UnitTests.Server;

/// <summary>
/// One agent and the server's real rules over a network that loses, repeats and reorders, with crashes, restores,
/// lost files and an operator who invalidates. The agent's half is written down here once more, independently of the
/// product's.
/// </summary>
internal sealed class RotationModel(int seed)
{
    private readonly Random _random = new(seed);
    private readonly List<Message> _requests = [];
    private readonly List<Answer> _answers = [];
    private readonly List<(AgentVersions Versions, Dictionary<long, VersionState> States)> _backups = [];
    private readonly HashSet<long> _everHeld = [];
    private Dictionary<long, VersionState> _states = [];
    private AgentVersions _server;
    private int _nextId;

    private long _active;
    private long _pending;
    private long _highest;
    private long _invalidated;
    private bool _isConfirmSent;
    private bool _isRecovering;
    private bool _hasLost;
    private int _outstanding = -1;

    public List<string> History { get; } = [];

    public void Run(int steps)
    {
        for (var i = 0; i < steps; i++)
        {
            Step();
            CheckInvariants();
        }

        Heal();
    }

    private void Step()
    {
        switch (_random.Next(20))
        {
            case < 5: Send(); break;
            case < 10: Receive(); break;
            case < 14: Deliver(); break;
            case 14: Lose(_requests); break;
            case 15: Lose(_answers); break;
            case 16: Note("agent restarts"); _outstanding = -1; break;
            case 17: BackUpOrRestore(); break;
            case 18: LoseSomething(); break;
            default: Reject(); break;
        }
    }

    private void Send()
    {
        var message = _pending != 0
            ? new Message(_nextId++, Kind.Confirm, _pending, 0, false)
            : new Message(_nextId++, Kind.Prepare, _active, _highest, _isRecovering);
        _outstanding = message.Id;
        _isConfirmSent = _pending != 0;
        _requests.Add(message);
        Note($"agent sends {message}");
    }

    private void Reject()
    {
        // Once a confirm is under way, PENDING is dropped on an answer only.
        if (_pending == 0 || _isConfirmSent) return;
        var message = new Message(_nextId++, Kind.Reject, _pending, 0, false);
        Note($"agent rejects {message}");
        _requests.Add(message);
        _pending = 0;
    }

    /// <summary>The server takes any request that is under way, and half the time leaves a copy of it.</summary>
    private void Receive()
    {
        if (_requests.Count == 0) return;
        var at = _random.Next(_requests.Count);
        var message = _requests[at];
        if (_random.Next(2) == 0 || _requests.Count > 6) _requests.RemoveAt(at);
        Serve(message);
    }

    private void Serve(Message message)
    {
        var decision = message.Kind switch
        {
            Kind.Prepare => RotationRules.Prepare(_server, new PrepareFacts(
                message.Version, message.Highest, message.IsRecovery, KcvRight: true,
                _states.GetValueOrDefault(message.Version) is VersionState.Invalidated or VersionState.Burned)),
            Kind.Confirm => RotationRules.Confirm(_server, new ConfirmFacts(message.Version, ProofRight: true)),
            _ => RotationRules.Reject(_server, message.Version),
        };
        Note($"server {message} -> {decision.Answer} {decision.Version} {decision.After}");
        foreach (var step in decision.Steps)
        {
            var isAbove = step is not VersionStep.Prepare || step.Version > Math.Max(message.Version, message.Highest);
            Require(isAbove, $"{step.Version} is not above what the agent said it knew");
            Apply(step);
        }

        _server = decision.After;
        _answers.Add(new Answer(message.Id, message.Kind, decision.Answer, decision.Version, _server.Highest));
        if (_answers.Count > 6) _answers.RemoveAt(0);
    }

    private void Apply(VersionStep step)
    {
        switch (step)
        {
            case VersionStep.Prepare:
                Require(_states.Keys.All(known => known < step.Version), $"{step.Version} is not a new number");
                _states[step.Version] = VersionState.Pending;
                break;
            case VersionStep.Commit or VersionStep.Adopt:
                Require(_everHeld.Contains(step.Version), $"{step.Version} becomes ACTIVE and was never held");
                foreach (var active in _states.Where(pair => pair.Value == VersionState.Active).ToArray())
                    _states[active.Key] = VersionState.Grace;
                _states[step.Version] = VersionState.Active;
                break;
            case VersionStep.Burn:
                Require(_states.GetValueOrDefault(step.Version) == VersionState.Pending, "only PENDING is burned");
                _states[step.Version] = VersionState.Burned;
                break;
            case VersionStep.GiveUp:
                Require(_states.GetValueOrDefault(step.Version) == VersionState.Active, "only ACTIVE is given up");
                _states[step.Version] = VersionState.Invalidated;
                break;
        }
    }

    private void Deliver()
    {
        if (_answers.Count == 0) return;
        var at = _random.Next(_answers.Count);
        var answer = _answers[at];
        _answers.RemoveAt(at);
        Take(answer);
    }

    private void Take(Answer answer)
    {
        // The nonce: an answer to anything but the outstanding attempt is dropped.
        if (answer.Id != _outstanding) return;
        _outstanding = -1;
        if (answer.Result != RotationAnswer.Granted)
        {
            Note($"agent drops PENDING {_pending}");
            (_pending, _highest) = (0, Math.Max(_highest, answer.Highest));
        }
        else if (answer.Kind == Kind.Prepare && _pending == 0
            && answer.Version > _active && answer.Version >= _highest && answer.Version != _invalidated)
        {
            Note($"agent stages {answer.Version}");
            (_pending, _highest) = (answer.Version, answer.Version);
            _everHeld.Add(answer.Version);
        }
        else if (answer.Kind == Kind.Prepare && _pending == 0 && answer.Version == _invalidated)
        {
            // A restored server gives out again what the operator ended since: refusing it in silence would go on for
            // ever.
            Note($"agent gives {answer.Version} back");
            _requests.Add(new Message(_nextId++, Kind.Reject, answer.Version, 0, false));
        }
        else if (answer.Kind == Kind.Confirm && answer.Version == _pending)
        {
            Note($"agent commits {answer.Version}");
            (_active, _pending, _isRecovering) = (_pending, 0, false);
        }
    }

    private void BackUpOrRestore()
    {
        if (_backups.Count == 0 || _random.Next(2) == 0)
        {
            _backups.Add((_server, new Dictionary<long, VersionState>(_states)));
            return;
        }

        Note("server restored");
        var (versions, states) = _backups[_random.Next(_backups.Count)];
        (_server, _states) = (versions, new Dictionary<long, VersionState>(states));
        _answers.Clear();
    }

    private void LoseSomething()
    {
        _hasLost = true;
        _outstanding = -1;
        switch (_random.Next(3))
        {
            case 0:
                Note($"operator invalidates {_active} on the till");
                (_invalidated, _active) = (Math.Max(_active, _invalidated), 0);
                break;
            case 1:
                Note("run.json lost");
                (_pending, _highest) = (0, Math.Max(_active, _invalidated));
                break;
            default:
                Note("state lost, recovery");
                // What was invalidated is forgotten with the rest; the highest number is the TPM's to remember.
                (_active, _pending, _invalidated, _isRecovering) = (0, 0, 0, true);
                break;
        }
    }

    private void Lose<T>(List<T> under)
    {
        if (under.Count > 0) under.RemoveAt(_random.Next(under.Count));
    }

    private void CheckInvariants()
    {
        Require(_states.Values.Count(state => state == VersionState.Active) <= 1, "two ACTIVE");
        Require(_states.Values.Count(state => state == VersionState.Pending) <= 1, "two PENDING");
        Require(_states.GetValueOrDefault(_server.Active) == VersionState.Active || _server.Active == 0, "ACTIVE lost");
        Require(_states.Keys.All(version => version <= _server.Highest), "a number above the highest");
        if (_hasLost || _server.Active == 0) return;
        var canOpen = _server.Active == _pending || (_server.Active <= _active && _server.Active > _active - 17);
        Require(canOpen, $"the server mints under {_server.Active}, the agent holds {_active} and {_pending}");
    }

    /// <summary>With a network that works, both sides agree again, and go on to the version after.</summary>
    private void Heal()
    {
        Note("heals");
        _requests.Clear();
        _answers.Clear();
        long agreed = 0;
        for (var round = 0; round < 30; round++)
        {
            Send();
            while (_requests.Count > 0)
            {
                var message = _requests[0];
                _requests.RemoveAt(0);
                Serve(message);
                Take(_answers[^1]);
            }

            CheckInvariants();
            if (_pending != 0 || _active == 0 || _active != _server.Active || _server.Pending != 0) continue;
            if (agreed != 0 && _active > agreed) return;
            agreed = _active;
        }

        Require(false, "does not heal");
    }

    private void Note(string what) => History.Add($"{what} | a={_active} p={_pending} h={_highest}");

    private void Require(bool holds, string what)
    {
        if (holds) return;
        throw new InvalidOperationException($"seed {seed}: {what}\n{string.Join('\n', History.TakeLast(60))}");
    }

    private enum Kind
    {
        Prepare,
        Confirm,
        Reject,
    }

    private sealed record Message(int Id, Kind Kind, long Version, long Highest, bool IsRecovery);

    private sealed record Answer(int Id, Kind Kind, RotationAnswer Result, long Version, long Highest);
}
