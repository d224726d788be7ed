using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Management;

namespace LicenseAgent.Daemon;

/// <summary>
/// What operators and applications can ask of the agent loop. Each call is queued, carried out by the loop in its turn,
/// and completes with the outcome or with the refusal to answer.
/// </summary>
internal sealed record AgentCommands(
    Func<EnrollCall, CancellationToken, Task<CommandAnswer<EnrollOutcome>>> Enroll,
    Func<CancellationToken, Task<CommandAnswer<RotateOutcome>>> Rotate,
    Func<long, bool, CancellationToken, Task<CommandAnswer<InvalidateOutcome>>> Invalidate,
    Func<bool, CancellationToken, Task<CommandAnswer<DegradedOutcome>>> Degraded,
    Func<string, CancellationToken, Task<CommandAnswer<RenewedLicense>>> Renew);

/// <summary>A license that the server has wrapped anew.</summary>
internal sealed record RenewedLicense(string Token);

/// <summary>Outcome or refusal, one of them set.</summary>
internal readonly record struct CommandAnswer<T>(T? Done, Problem? Refused)
    where T : class;
