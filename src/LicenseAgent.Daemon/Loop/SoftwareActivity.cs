using System.Collections.Immutable;
using LicenseAgent.Core;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.Secrets;
using LicenseAgent.Daemon.State;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Json;

namespace LicenseAgent.Daemon.Loop;

/// <summary>Opens, or makes, the software keys for a lost TPM, and what was made for them.</summary>
internal sealed class SoftwareActivity(AgentPorts ports, Till till, Opening opening)
{
    public async Task<AgentEvent> OpenAsync(bool anew, bool tpmWorks, CancellationToken cancel)
    {
        FallbackPorts fallback = ports.Fallback ?? throw new InvariantBroken("Software keys are off.");
        if (till.Agent is not { Phase: EnrollmentPhase.Enrolled } agent || till.Server is not { } server)
        {
            return new AgentEvent.SoftwareFailed("the identity of this till could not be read; see the alerts.");
        }

        RunState run = await opening.ReadRunAsync(cancel);
        till.FallbackKeys = await fallback.Keys.OpenAsync(agent.AgentId, anew, cancel);
        till.Software ??= new SecretStore(fallback.Files, fallback.Keys.UnwrapAsync, till.Memory, server);
        SoftwareBook book = await ReadBookAsync(fallback.Files, agent.AgentId, cancel);
        ImmutableArray<long>.Builder opened = ImmutableArray.CreateBuilder<long>();
        IEnumerable<SecretEntry> entries =
            book.Pending is { } pending ? book.Secrets.Append(pending.Entry) : book.Secrets;
        foreach (SecretEntry entry in entries)
        {
            if (await till.Software.LoadAsync(entry, cancel))
            {
                opened.Add(entry.Version);
            }
        }

        if (tpmWorks)
        {
            // Only the public halves are needed: the server is to know them before they are.
            fallback.Keys.Close();
        }

        return new AgentEvent.SoftwareOpened(
            new Identity(agent.AgentId, agent.Policy!), till.Server!.Chain.Reference, run, book,
            till.FallbackKeys.Signing.Thumbprint().ToString(), opened.ToImmutable());
    }

    public static byte[] Write(string agentId, SoftwareBook book) => StrictJson.Write(
        new SoftwareFile(SoftwareFile.CurrentFormat, agentId, book), StateJson.Strict.SoftwareFile);

    /// <summary>A file that cannot be read is worth nothing: the server gives a new version.</summary>
    private static async Task<SoftwareBook> ReadBookAsync(
        IStateFiles files, string agentId, CancellationToken cancel)
    {
        if (await files.ReadAsync(SoftwareFile.Name, cancel) is not { } bytes)
        {
            return SoftwareBook.Empty;
        }

        try
        {
            SoftwareFile file = StateJson.Read(
                bytes, StateJson.Strict.SoftwareFile, SoftwareFile.Name, SoftwareFile.CurrentFormat);
            return file.AgentId == agentId ? file.Book : SoftwareBook.Empty;
        }
        catch (ProtocolException)
        {
            return SoftwareBook.Empty;
        }
    }
}
