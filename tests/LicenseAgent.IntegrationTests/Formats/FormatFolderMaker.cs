using LicenseAgent.Core;
using LicenseAgent.Daemon.State;
using LicenseAgent.IntegrationTests.EndToEnd;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Testbed.Processes;
using LicenseAgent.Testbed.Servers;
using LicenseAgent.Testbed.Tills;
using Xunit;

namespace LicenseAgent.IntegrationTests.Formats;

/// <summary>
/// Makes the folder of <c>tests/formats</c> for the format that this program writes: see <c>tests/formats/make</c>.
/// Run by hand, once for every format, before the format changes.
/// </summary>
public sealed class FormatFolderMaker
{
    // The folder must be good for as long as anybody may build this: trusted now is never before the build time.
    private static readonly TimeSpan s_grace = TimeSpan.FromDays(3650);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>
    /// Enrolled, rotated twice, a license revoked, then a third rotation of which the server never sees the confirm;
    /// killed, and the TPM after it: versions 1 and 2 in GRACE, 3 ACTIVE, 4 PENDING with its confirm sent.
    /// </summary>
    [Fact(Explicit = true)]
    public async Task The_folder_of_this_format_is_made()
    {
        FormatFolder folder = new(BoundState.CurrentFormat);
        Assert.False(Directory.Exists(folder.Root), $"{folder.Root} is there already; a kept folder is never remade.");
        await using LiveTill till = await LiveTill.StartEnrolledAsync(
            Cancel, TimeSpan.FromSeconds(1), new ServerSettings { GracePeriod = s_grace });
        string revoked = await till.Server.IssueRevokedAsync(LiveTill.Name);
        await till.Operator.RotateAsync(Cancel);
        await till.Operator.RotateAsync(Cancel);
        await till.AgreementAsync();
        string active = await till.Server.IssueAsync(LiveTill.Name, s_grace);
        await Eventually.HoldsAsync(
            () => till.Read().Bound.Revocations is not null && File.Exists(Path.Combine(till.Folder.State, "receipts.jws")),
            "no revocations were bound", Cancel);
        Assert.True((await till.ValidateAsync(active)).IsValid);

        till.Server.Faults.Add(new ServerFault { Match = AgentActions.ConfirmRotation, Times = 0, Drop = true });
        Task rotation = LostAnswerTests.RotateDespiteAsync(till);
        await Eventually.HoldsAsync(
            () => till.Read().Run.Pending is { ConfirmSent: true }, "no confirm was sent", Cancel);
        await till.KillAgentAsync();
        await rotation;
        await till.Tpm.KillAsync();

        Assert.Equal((3, 4), (till.Read().Active, till.Read().Pending));
        FormatFolder.CopyFiles(till.Folder.State, folder.State);
        FormatFolder.CopyFiles(Path.Combine(till.Folder.State, "secrets"), Path.Combine(folder.State, "secrets"));
        FormatFolder.CopyFiles(till.Folder.Logs, Path.Combine(folder.Root, "log"));
        till.Tpm.SaveState(folder.Tpm);
        File.Delete(Path.Combine(folder.State, "metrics.prom"));
        await File.WriteAllTextAsync(Path.Combine(folder.Root, "active.token"), active + "\n", Cancel);
        await File.WriteAllTextAsync(Path.Combine(folder.Root, "revoked.token"), revoked + "\n", Cancel);
    }
}
