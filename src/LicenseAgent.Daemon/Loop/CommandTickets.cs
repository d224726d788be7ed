using LicenseAgent.Core;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Management;

namespace LicenseAgent.Daemon.Loop;

/// <summary>
/// Operators' calls on their way through the loop. Calls come from any thread, outcomes from the loop's; one lock, held
/// for a dictionary access at a time.
/// </summary>
internal sealed class CommandTickets(Action<AgentEvent> post, Till till)
{
    // More operators than this at once is a script gone wild: refused with 503.
    private const int MaxOpen = 64;

    private readonly Lock _gate = new();
    private readonly Dictionary<long, Ticket> _open = [];

    // The loop's alone: who is told with the next snapshot.
    private readonly List<(Ticket Ticket, object? Done, Problem? Refused)> _completed = [];
    private long _last;

    public AgentCommands Commands() => new(EnrollAsync, RotateAsync, InvalidateAsync, DegradedAsync, RenewAsync);

    /// <summary>The call an enrolment was begun with.</summary>
    public EnrollCall? EnrollCallOf(long ticket)
    {
        lock (_gate)
        {
            return _open.GetValueOrDefault(ticket)?.Call;
        }
    }

    /// <summary>
    /// Answers who is done with. Called once the snapshot says what the answers say: an operator who is told of a
    /// rotation and asks for the status sees it.
    /// </summary>
    public void Tell()
    {
        foreach ((Ticket ticket, object? done, Problem? refused) in _completed)
        {
            ticket.Outcome.TrySetResult((done, refused));
        }

        _completed.Clear();
    }

    public void CompleteRotate(AgentEffect.CompleteRotate e) => Complete(
        e.Ticket, new RotateOutcome(e.Version is null ? "failed" : "rotated", e.Version, e.FailedBecause), null);

    public void CompleteInvalidate(AgentEffect.CompleteInvalidate e)
    {
        Problem? refused = e.RefusedBecause is { } why ? CommandRefusals.OfInvalidation(e.Version, why) : null;
        Complete(e.Ticket, refused is null ? new InvalidateOutcome(e.Version, "INVALIDATED") : null, refused);
    }

    public void CompleteDegraded(AgentEffect.CompleteDegraded e)
    {
        Problem? refused = e.RefusedBecause is { } why ? CommandRefusals.OfDegraded(why) : null;
        Complete(e.Ticket, refused is null ? new DegradedOutcome(e.Allowed) : null, refused);
    }

    public void CompleteRenewal(AgentEffect.CompleteRenewal e) => Complete(
        e.Ticket, e.Token is { } token ? new RenewedLicense(token) : null,
        e.Token is null ? CommandRefusals.OfRenewal(e.RefusedBecause!, e.Detail) : null);

    public void CompleteEnroll(AgentEffect.CompleteEnroll e)
    {
        if (e.RefusedBecause is { } why)
        {
            Complete(e.Ticket, null, CommandRefusals.OfEnrollment(why, e.Detail));
            return;
        }

        string thumbprint = till.Agent!.Keys!.Signing.Thumbprint().ToString();
        Complete(e.Ticket, new EnrollOutcome(till.Agent.AgentId, thumbprint, till.Agent.Highest), null);
    }

    private Task<CommandAnswer<EnrollOutcome>> EnrollAsync(EnrollCall call, CancellationToken cancel) =>
        AskAsync<EnrollOutcome>(
            ticket => new AgentEvent.EnrollAsked(ticket, call.Replace == true, call.Force == true), call, cancel);

    private Task<CommandAnswer<RotateOutcome>> RotateAsync(CancellationToken cancel) =>
        AskAsync<RotateOutcome>(ticket => new AgentEvent.RotateAsked(ticket), null, cancel);

    private Task<CommandAnswer<InvalidateOutcome>> InvalidateAsync(
        long version, bool force, CancellationToken cancel) =>
        AskAsync<InvalidateOutcome>(ticket => new AgentEvent.InvalidateAsked(ticket, version, force), null, cancel);

    private Task<CommandAnswer<DegradedOutcome>> DegradedAsync(bool allowed, CancellationToken cancel) =>
        AskAsync<DegradedOutcome>(ticket => new AgentEvent.DegradedAsked(ticket, allowed), null, cancel);

    private Task<CommandAnswer<RenewedLicense>> RenewAsync(string token, CancellationToken cancel) =>
        AskAsync<RenewedLicense>(ticket => new AgentEvent.RenewalAsked(ticket, token), null, cancel);

    private async Task<CommandAnswer<T>> AskAsync<T>(
        Func<long, AgentEvent> ask, EnrollCall? call, CancellationToken cancel)
        where T : class
    {
        Ticket ticket = new(call);
        long number;
        lock (_gate)
        {
            if (_open.Count >= MaxOpen)
            {
                return new CommandAnswer<T>(null, CommandRefusals.TooManyCalls);
            }

            number = ++_last;
            _open[number] = ticket;
        }

        post(ask(number));
        try
        {
            (object? done, Problem? refused) = await ticket.Outcome.Task.WaitAsync(cancel);
            return new CommandAnswer<T>((T?)done, refused);
        }
        finally
        {
            lock (_gate)
            {
                _open.Remove(number);
            }
        }
    }

    private void Complete(long number, object? done, Problem? refused)
    {
        lock (_gate)
        {
            // An operator who hung up is no longer there; what was asked for happened all the same.
            if (_open.TryGetValue(number, out Ticket? ticket))
            {
                _completed.Add((ticket, done, refused));
            }
        }
    }

    private sealed record Ticket(EnrollCall? Call)
    {
        public TaskCompletionSource<(object? Done, Problem? Refused)> Outcome { get; } =
            new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
