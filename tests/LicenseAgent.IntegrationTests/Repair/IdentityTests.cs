using LicenseAgent.Client;
using LicenseAgent.IntegrationTests.EndToEnd;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Testbed.Processes;
using LicenseAgent.Testbed.Servers;
using LicenseAgent.Testbed.Tills;
using LicenseAgent.Testbed.Tpm;
using Xunit;

namespace LicenseAgent.IntegrationTests.Repair;

/// <summary>
/// Identity and versions when the world around the till changes: a copied disk, a copied TPM, a server restored from a
/// backup, keys of the server replaced, orders of operators that meet what is under way.
/// </summary>
public sealed class IdentityTests
{
    private static readonly TimeSpan s_oftenChecked = TimeSpan.FromSeconds(1);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_copied_disk_on_another_till_gets_nothing()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel);
        string token = await LostAnswerTests.IssueAsync(till);
        await using Copy thief = await Copy.StartAsync(till, tpmFrom: null);
        int asked = till.Server.AuditEvents().Count;

        StatusResponse status = await thief.StatusAsync();

        Assert.Equal(("LOCKED", "tpm_replaced"), (status.Mode, status.LockReason));
        Assert.Equal("LOCKED", (await thief.ValidateAsync(token)).Reason);
        Assert.Equal(asked, till.Server.AuditEvents().Count);
    }

    [Fact]
    public async Task Two_machines_with_one_TPM_are_found_and_quarantined_until_an_operator_decides()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel, s_oftenChecked);
        string memory = Path.Combine(till.Folder.Root, "tpm-copy");
        till.Tpm.SaveState(memory);
        await using Copy twin = await Copy.StartAsync(till, memory);

        // Its counter falls behind the real one's with the next generation of that.
        await LostAnswerTests.RotateDespiteAsync(till);
        await Eventually.HoldsAsync(
            () => till.Server.AuditEvents().Contains("clone_suspected"), "no clone was suspected", Cancel);
        var refused = (await till.Operator.RotateAsync(Cancel)).Value;
        Assert.Equal("clone_suspect", refused.Reason);
        Assert.Contains((await till.StatusAsync()).Alerts, a => a.Id == "clone_suspect");

        await twin.DisposeAsync();
        await till.Server.ApproveRecoveryAsync(LiveTill.Name);
        Assert.Equal("rotated", (await till.Operator.RotateAsync(Cancel)).Value.Outcome);
        TillBooks books = await till.AgreementAsync();
        books.Bound.CheckInvariants();
    }

    [Fact]
    public async Task A_server_restored_to_the_past_takes_over_what_the_till_has()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel, s_oftenChecked);
        string backup = await till.Server.BackupAsync();
        await till.Operator.RotateAsync(Cancel);
        await till.Operator.RotateAsync(Cancel);
        string token = await LostAnswerTests.IssueAsync(till);

        await till.Server.RestoreAsync(backup, Cancel);
        Assert.Equal(1, till.Server.Books(LiveTill.Name).Active);
        Assert.True((await till.ValidateAsync(token)).IsValid);
        Assert.Equal("rotated", (await till.Operator.RotateAsync(Cancel)).Value.Outcome);

        TillBooks books = await till.AgreementAsync();
        Assert.Equal((4, 4L), (books.Active, books.Server.Highest));
        Assert.Contains("server_behind", till.Server.AuditEvents());
        Assert.True((await till.ValidateAsync(token)).IsValid);
    }

    [Fact]
    public async Task The_servers_keys_are_replaced_under_a_till_that_works()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel, s_oftenChecked);
        string token = await LostAnswerTests.IssueAsync(till);
        long generation = till.Read().Bound.Generation;

        await till.Server.RotateKeysAsync();
        await Eventually.HoldsAsync(
            () => till.Read().Bound.Keyset.Version == 2, "keyset 2 was not taken over", Cancel);
        Assert.Equal(generation + 1, till.Read().Bound.Generation);

        await till.Server.RotateKeysAsync();
        Assert.Equal("rotated", (await till.Operator.RotateAsync(Cancel)).Value.Outcome);
        Assert.True((await till.ValidateAsync(token)).IsValid);
        await till.RestartAgentAsync();
        TillBooks books = await till.AgreementAsync();
        books.RequireSound();
        Assert.True((await till.ValidateAsync(await LostAnswerTests.IssueAsync(till))).IsValid);
    }

    [Fact]
    public async Task A_till_that_missed_the_announcement_follows_the_chain_when_it_hears_an_unknown_key()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel, s_oftenChecked);
        await till.Agent.Process.TerminateAsync(Cancel);
        for (int i = 0; i < 4; i++) await till.Server.RotateKeysAsync();

        await till.RestartAgentAsync();

        await Eventually.HoldsAsync(
            () => till.Read().Bound.Keyset.Version >= 3, "the chain was not followed", Cancel);
        await till.AgreementAsync();
        Assert.Equal("rotated", (await till.Operator.RotateAsync(Cancel)).Value.Outcome);
    }

    [Fact]
    public async Task A_license_of_a_version_that_is_gone_is_wrapped_anew_by_the_server()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel, s_oftenChecked);
        string token = await LostAnswerTests.IssueAsync(till);
        await till.Operator.RotateAsync(Cancel);
        await till.AgreementAsync();
        await till.Operator.InvalidateAsync(1, force: false, Cancel);
        LicenseValidation gone = await till.ValidateAsync(token);
        Assert.Equal(("SECRET_INVALIDATED", true), (gone.Reason, gone.IsRenewable));

        LicenseRenewal renewed = await till.RenewAsync(token);

        Assert.Equal(RenewalOutcome.Renewed, renewed.Outcome);
        Assert.True((await till.ValidateAsync(renewed.Token!)).IsValid);
        till.Server.Faults.Add(new ServerFault { Match = AgentActions.RenewLicense, Drop = true });
        Assert.Equal(RenewalOutcome.NoContact, (await till.RenewAsync(token)).Outcome);
        Assert.Equal(RenewalOutcome.Refused, (await till.RenewAsync("e30.e30.e30.e30.e30")).Outcome);
    }

    [Fact]
    public async Task A_PENDING_that_an_operator_took_out_of_use_is_given_back_and_another_one_comes()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel, s_oftenChecked);
        till.Server.Faults.Add(new ServerFault { Match = AgentActions.ConfirmRotation, Times = 0, Drop = true });
        till.Server.Faults.Add(new ServerFault { Match = AgentActions.RejectRotation, Times = 2, Drop = true });
        await LostAnswerTests.RotateDespiteAsync(till);
        await Eventually.HoldsAsync(() => till.Read().Run.Pending is { ConfirmSent: true }, "no PENDING", Cancel);
        await till.Operator.InvalidateAsync(2, force: true, Cancel);
        till.Server.Faults.Heal();

        TillBooks books = await Eventually.GetAsync(
            async () => await till.AgreementAsync() is { Active: 3 } three ? three : null,
            () => till.Read().ToString(), Cancel);

        Assert.Equal(["ACTIVE", "BURNED", "GRACE"], books.Server.Versions.Select(v => v.State).Order());
    }

    [Fact]
    public async Task An_invalidated_version_that_a_restored_server_offers_again_ends_in_a_new_number()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel, s_oftenChecked);
        ActiveServerFault lost = till.Server.Faults.Add(
            new ServerFault { Match = AgentActions.ConfirmRotation, Times = 0, Drop = true });
        await LostAnswerTests.RotateDespiteAsync(till);
        await lost.Reached.WaitAsync(Cancel);
        string backup = await till.Server.BackupAsync();
        till.Server.Faults.Add(new ServerFault { Match = AgentActions.RotateSecret, Times = 0, Drop = true });
        await till.Operator.InvalidateAsync(2, force: true, Cancel);
        await Eventually.HoldsAsync(
            () => till.Read().Server.Versions.Any(v => v.State == "BURNED"), "2 was not given back", Cancel);

        await till.Server.RestoreAsync(backup, Cancel);
        till.Server.Faults.Heal();

        TillBooks books = await Eventually.GetAsync(
            async () => await till.AgreementAsync() is { Active: 3 } three ? three : null,
            () => till.Read().ToString(), Cancel);
        Assert.Equal("BURNED", books.Server.Versions.Single(v => v.Version == 2).State);
    }

    [Fact]
    public async Task A_till_that_waits_for_an_operator_is_enrolled_when_its_key_was_compared()
    {
        await using LiveTill till = await LiveTill.StartAsync(
            Cancel, s_oftenChecked, new ServerSettings { EnrollmentApproval = true });
        AgentException waits = await Assert.ThrowsAsync<AgentException>(till.EnrolAsync);
        string key = till.Server.WaitingKey(LiveTill.Name)!;
        Assert.Contains(key, waits.Message, StringComparison.Ordinal);
        Assert.Equal("not_enrolled", (await till.StatusAsync()).LockReason);

        await till.Server.ApproveAsync(LiveTill.Name, key);

        TillBooks books = await till.AgreementAsync();
        books.RequireSound();
    }

    [Fact]
    public async Task A_revocation_outlives_the_deletion_of_its_file()
    {
        await using LiveTill till = await LiveTill.StartEnrolledAsync(Cancel, s_oftenChecked);
        string token = await till.Server.IssueRevokedAsync(LiveTill.Name);
        await RevokedAsync();
        await till.Agent.Process.TerminateAsync(Cancel);
        File.Delete(Path.Combine(till.Folder.State, "revocations.jws"));

        await till.RestartAgentAsync();

        await RevokedAsync();
        Assert.True(File.Exists(Path.Combine(till.Folder.State, "revocations.jws")));

        Task RevokedAsync() => Eventually.GetAsync(
            async () => (await till.ValidateAsync(token)).Reason == "REVOKED" ? "revoked" : null,
            () => "the revocation is not known", Cancel);
    }

    /// <summary>The disk of a till in another machine, with another TPM or a copy of its own.</summary>
    private sealed class Copy : IAsyncDisposable
    {
        private readonly Workplace _place = new();
        private readonly TillFolder _folder;
        private SwtpmProcess? _tpm;
        private AgentProcess? _agent;

        private Copy() => _folder = _place.AddTill("copy");

        public static async Task<Copy> StartAsync(LiveTill till, string? tpmFrom)
        {
            Copy copy = new();
            FormatFolder.CopyFiles(till.Folder.State, copy._folder.State);
            FormatFolder.CopyFiles(
                Path.Combine(till.Folder.State, "secrets"), Path.Combine(copy._folder.State, "secrets"));
            File.SetUnixFileMode(
                Path.Combine(copy._folder.State, "secrets"),
                UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            FormatFolder.CopyFiles(till.Folder.Logs, copy._folder.Logs);
            copy._tpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, Cancel, tpmFrom);
            copy._folder.WriteConfig(new TillSettings
            {
                TpmDevice = copy._tpm.Device,
                CheckInInterval = s_oftenChecked,
            });
            copy._agent = await AgentProcess.StartAsync(copy._folder, Cancel);
            return copy;
        }

        public async Task<StatusResponse> StatusAsync()
        {
            using ManagementClient client = new(new ManagementClientOptions { SocketPath = _folder.AdminSocket });
            return (await client.StatusAsync(Cancel)).Value;
        }

        public async Task<LicenseValidation> ValidateAsync(string token)
        {
            using LicenseAgentClient application = new(new LicenseAgentClientOptions
            {
                SocketPath = _folder.PosSocket,
                VendorKeys = [],
                Timeout = TimeSpan.FromSeconds(30),
            });
            return await application.ValidateAsync(token, Cancel);
        }

        public async ValueTask DisposeAsync()
        {
            if (_agent is { } agent)
            {
                _agent = null;
                await agent.DisposeAsync();
            }

            if (_tpm is { } tpm)
            {
                _tpm = null;
                await tpm.DisposeAsync();
                _place.Dispose();
            }
        }
    }
}
