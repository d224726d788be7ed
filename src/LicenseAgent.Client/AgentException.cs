using LicenseAgent.Protocol.Local;

namespace LicenseAgent.Client;

/// <summary>Why a call to the agent gave no answer that can be used.</summary>
public enum AgentFault
{
    /// <summary>Nobody listens on the socket, or the connection broke, or no answer came in time.</summary>
    Unreachable,

    /// <summary>The socket or the agent turns this user away.</summary>
    NotPermitted,

    /// <summary>Too many requests or connections at the moment; <see cref="AgentException.RetryAfter"/>.</summary>
    Busy,

    /// <summary>The agent answered that it will not; <see cref="AgentException.Problem"/> says why.</summary>
    Refused,

    /// <summary>An answer that is not of this protocol: another program, another version, or a fault.</summary>
    NotUnderstood,
}

/// <summary>
/// The agent could not be asked or did not do what was asked. Its message names the fact and the remedy. A license
/// that is not valid is an answer and never this exception.
/// </summary>
public sealed class AgentException : Exception
{
    /// <summary>Makes an exception that no answer of the agent stands behind.</summary>
    public AgentException(AgentFault fault, string message, Exception? inner = null)
        : base(message, inner) => Fault = fault;

    /// <summary>What kind of failure.</summary>
    public AgentFault Fault { get; }

    /// <summary>Whether the same call may succeed a little later without anybody doing anything.</summary>
    public bool IsRetryable => Fault is AgentFault.Unreachable or AgentFault.Busy;

    /// <summary>The agent's refusal, where there is one.</summary>
    public Problem? Problem { get; init; }

    /// <summary>The answer's body as it came; empty where there was none.</summary>
    public ReadOnlyMemory<byte> Utf8 { get; init; }

    /// <summary>How long the agent asks to wait, where it does.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>The agent was reached and the connection broke; a fresh one may be served.</summary>
    internal bool ConnectionBroke { get; init; }
}
