using LicenseAgent.Cli.Display;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.Cli;

/// <summary>What a command is given besides its arguments.</summary>
/// <param name="InputIsRedirected">Standard input is a file or a pipe, and nobody types.</param>
/// <param name="Stop">Ctrl-C.</param>
internal sealed record CliContext(
    Screen Screen, Func<Stream> Input, bool InputIsRedirected, TimeProvider Time, CancellationToken Stop)
{
    /// <summary>This machine's wall clock.</summary>
    public UtcTime WallClock => UtcTime.From(Time.GetUtcNow());
}
