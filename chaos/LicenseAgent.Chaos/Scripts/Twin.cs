using LicenseAgent.Client;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Testbed.Processes;
using LicenseAgent.Testbed.Tpm;

namespace LicenseAgent.Chaos.Scripts;

/// <summary>A second machine with a copy of a till's disk, and with a TPM of its own or a copy of the till's.</summary>
internal sealed class Twin : IAsyncDisposable
{
    private readonly SwtpmProcess _tpm;
    private readonly ManagementClient _operator;
    private AgentProcess? _agent;

    private Twin(SwtpmProcess tpm, TillFolder folder)
    {
        _tpm = tpm;
        _operator = new ManagementClient(new ManagementClientOptions { SocketPath = folder.AdminSocket });
    }

    /// <param name="folder">Where the copy of the disk already is.</param>
    /// <param name="tpmFrom">The memory of the TPM; another TPM without it.</param>
    public static async Task<Twin> StartAsync(
        TillFolder folder, TillSettings settings, string? tpmFrom, CancellationToken cancel)
    {
        SwtpmProcess tpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, cancel, tpmFrom);
        Twin twin = new(tpm, folder);
        try
        {
            folder.WriteConfig(settings with { TpmDevice = tpm.Device });
            twin._agent = await AgentProcess.StartAsync(folder, cancel);
            return twin;
        }
        catch (Exception)
        {
            await twin.DisposeAsync();
            throw;
        }
    }

    public async Task<StatusResponse?> TryStatusAsync(CancellationToken cancel)
    {
        try
        {
            return (await _operator.StatusAsync(cancel)).Value;
        }
        catch (AgentException)
        {
            // Nobody answers at the moment; who asks waits or says so.
            return null;
        }
    }

    public async ValueTask DisposeAsync()
    {
        _operator.Dispose();
        if (_agent is not null)
            await _agent.DisposeAsync();
        await _tpm.DisposeAsync();
    }
}
