namespace LicenseAgent.Daemon.Ports;

/// <summary>
/// The one root of what can go wrong outside the agent: a TPM, a disk, a network, a file's content. Bugs are
/// <see cref="LicenseAgent.Core.InvariantBroken"/>, expected outcomes are values.
/// </summary>
internal abstract class EnvironmentException(string reason, string message, bool retryable, Exception? inner)
    : Exception(message, inner)
{
    /// <summary>Stable, snake_case or the name of an enum member.</summary>
    public string Reason { get; } = reason;

    /// <summary>Whether the same call may succeed later without anybody changing anything.</summary>
    public bool Retryable { get; } = retryable;
}

/// <summary>A durable call failed: nothing that depends on it may happen.</summary>
internal sealed class StorageException(string reason, string message, Exception? inner = null)
    : EnvironmentException(reason, message, retryable: true, inner);
