namespace LicenseAgent.Daemon.Secrets;

/// <summary>One thing that keeps secrets inside this process, as it was found at start.</summary>
/// <param name="Name">Stable, snake_case; the label of the metric.</param>
/// <param name="Fact">What was found.</param>
/// <param name="Remedy">What to change so that it holds.</param>
internal sealed record Protection(string Name, bool Holds, string Fact, string Remedy);

/// <summary>Where this process keeps secrets, and what is known of the protection.</summary>
/// <param name="Protections">Empty where nobody looked: a simulated agent shares its process with others.</param>
internal sealed record ProtectedMemory(SecretMemory Secrets, IReadOnlyList<Protection> Protections);
