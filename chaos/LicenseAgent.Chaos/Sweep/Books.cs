using System.Security.Cryptography;
using LicenseAgent.Core;
using LicenseAgent.Daemon.State;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Testbed.Servers;

namespace LicenseAgent.Chaos.Sweep;

/// <summary>What both sides have written down about one till's secrets, at one moment.</summary>
internal sealed record Books(BoundState? Bound, RunState Run, ServerBooks Server, string StateFolder)
{
    public long Active => Bound?.Active?.Version ?? 0;

    public long Pending => Run.Pending?.Entry.Version ?? 0;

    public long Highest => Math.Max(Bound?.HighestVersionSeen ?? 0, Run.Highest);

    public bool Agree => Active > 0 && Active == Server.Active && Pending == 0 && Server.Pending == 0;

    /// <summary>The first generation and the run state may not be there yet.</summary>
    public static Books Read(string stateFolder, ServerBooks server)
    {
        string state = Path.Combine(stateFolder, StateStore.StateName);
        string run = Path.Combine(stateFolder, RunFile.Name);
        return new Books(
            File.Exists(state)
                ? StateJson.Read(
                    File.ReadAllBytes(state), StateJson.Strict.BoundState, StateStore.StateName,
                    BoundState.CurrentFormat)
                : null,
            File.Exists(run)
                ? StateJson.Read(
                    File.ReadAllBytes(run), StateJson.Strict.RunFile, RunFile.Name, RunFile.CurrentFormat).Run
                : RunState.Empty,
            server, stateFolder);
    }

    public Digest32? FileOf(long version)
    {
        string path = Path.Combine(StateFolder, "secrets", $"v{version}.jws");
        return File.Exists(path) ? Digest32.From(SHA256.HashData(File.ReadAllBytes(path))) : null;
    }

    public override string ToString() =>
        $"agent ACTIVE {Active} PENDING {Pending} generation {Bound?.Generation}, "
        + $"server ACTIVE {Server.Active} PENDING {Server.Pending} highest {Server.Highest}";
}
