using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Ports;

namespace LicenseAgent.Daemon.Adapters.Files;

/// <summary>
/// Where software keys and what is made for them are kept: versions in <c>fallback/</c> below the state directory, the
/// encrypted keys where the configuration says.
/// </summary>
internal sealed class SoftwareStorage : IDisposable
{
    private readonly StateFiles _versions;
    private readonly StateFiles? _elsewhere;
    private readonly FallbackKeys _keys;

    private SoftwareStorage(StateFiles versions, StateFiles? elsewhere, FallbackKeys keys) =>
        (_versions, _elsewhere, _keys) = (versions, elsewhere, keys);

    public FallbackPorts Ports => new(_keys, _versions);

    /// <returns><see langword="null"/> where software keys are off.</returns>
    public static SoftwareStorage? Open(AgentConfig config, StateFiles state)
    {
        if (config.Tpm.Fallback is not { } fallback)
            return null;
        var versions = new StateFiles(config.Paths.State + "/fallback");
        StateFiles? elsewhere = fallback.Directory == config.Paths.State ? null : new StateFiles(fallback.Directory);
        return new SoftwareStorage(
            versions, elsewhere, new FallbackKeys(elsewhere ?? state, fallback.File, fallback.KeyFile));
    }

    public void Dispose()
    {
        _keys.Dispose();
        _elsewhere?.Dispose();
        _versions.Dispose();
    }
}
