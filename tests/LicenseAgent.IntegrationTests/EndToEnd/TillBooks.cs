using System.Security.Cryptography;
using LicenseAgent.Core;
using LicenseAgent.Daemon.State;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Testbed.Servers;
using Xunit;

namespace LicenseAgent.IntegrationTests.EndToEnd;

/// <summary>What both sides have written down about one till's secrets, at one moment.</summary>
internal sealed record TillBooks(BoundState Bound, RunState Run, ServerBooks Server, string StateFolder)
{
    public long Active => Bound.Active?.Version ?? 0;

    public long Pending => Run.Pending?.Entry.Version ?? 0;

    public bool Agree => Active > 0 && Active == Server.Active && Pending == 0 && Server.Pending == 0;

    public static TillBooks Read(string stateFolder, ServerBooks server)
    {
        BoundState bound = StateJson.Read(
            File.ReadAllBytes(Path.Combine(stateFolder, StateStore.StateName)), StateJson.Strict.BoundState,
            StateStore.StateName, BoundState.CurrentFormat);
        RunFile run = StateJson.Read(
            File.ReadAllBytes(Path.Combine(stateFolder, RunFile.Name)), StateJson.Strict.RunFile, RunFile.Name,
            RunFile.CurrentFormat);
        return new TillBooks(bound, run.Run, server, stateFolder);
    }

    /// <summary>I03, and that every number up to the highest was given out, none twice (the server's key is the
    /// number): nothing was skipped.</summary>
    public void RequireSound()
    {
        Bound.CheckInvariants();
        Assert.Single(Bound.Secrets, s => s.State == SecretState.Active);
        Assert.Single(Server.Versions, v => v.State == "ACTIVE");
        Assert.DoesNotContain(Server.Versions, v => v.State == "BURNED");
        Assert.Equal(Enumerable.Range(1, (int)Server.Highest).Select(v => (long)v), Server.Versions.Select(v => v.Version));
        Assert.Equal(Server.Highest, Math.Max(Bound.HighestVersionSeen, Run.Highest));
        Assert.Equal(
            Server.Versions.Where(v => v.State is "ACTIVE" or "GRACE").Select(v => (v.Version, v.Kcv)),
            Bound.Secrets.Select(s => (s.Version, s.Kcv)));
    }

    /// <summary>
    /// I07: what a crash in a rotation away from <paramref name="old"/> may leave on disk: old, old + PENDING, or
    /// new + GRACE. I08: where the server uses the new one, the agent has it, whole.
    /// </summary>
    public void RequireLeftByCrash(long old)
    {
        Bound.CheckInvariants();
        Assert.Contains(Active, (long[])[old, old + 1]);
        Assert.Equal(Active == old ? SecretState.Active : SecretState.Grace, StateOf(old));

        // A PENDING that equals ACTIVE was committed a moment ago; the next start drops it.
        Assert.Contains(Pending, (long[])[0, old + 1]);
        if (Server.Active == old + 1)
        {
            Assert.True(Active == old + 1 || Run.Pending is { ConfirmSent: true });
            Digest32 expected = Active == old + 1 ? Bound.Active!.FileSha256 : Run.Pending!.Entry.FileSha256;
            Assert.Equal(expected, Digest32.From(SHA256.HashData(File.ReadAllBytes(SecretFile(old + 1)))));
        }
        else
        {
            Assert.Equal(old, Server.Active);
            Assert.Equal(old, Active);
        }
    }

    public string SecretFile(long version) => Path.Combine(StateFolder, "secrets", $"v{version}.jws");

    public override string ToString() =>
        $"agent ACTIVE {Active} PENDING {Pending} intent {Run.Intent?.RequestId ?? "none"} generation {Bound.Generation}, "
        + $"server ACTIVE {Server.Active} PENDING {Server.Pending} highest {Server.Highest}";

    private SecretState? StateOf(long version) => Bound.Secrets.FirstOrDefault(s => s.Version == version)?.State;
}
