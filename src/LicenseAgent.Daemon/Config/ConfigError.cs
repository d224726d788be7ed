namespace LicenseAgent.Daemon.Config;

/// <summary>One mistake in the configuration; the message names the fact and the remedy.</summary>
/// <param name="Line">From 1; 0 where no line of the file is at fault.</param>
/// <param name="Variable">The environment variable at fault, or <see langword="null"/>.</param>
internal sealed record ConfigError(int Line, string? Variable, string Message);

/// <summary>The configuration, or every reason why there is none.</summary>
internal sealed record ConfigOutcome(AgentConfig? Config, IReadOnlyList<ConfigError> Errors);
