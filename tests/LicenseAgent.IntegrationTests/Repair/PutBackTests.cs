using LicenseAgent.IntegrationTests.EndToEnd;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Testbed.Servers;
using LicenseAgent.Testbed.Tills;
using Xunit;

namespace LicenseAgent.IntegrationTests.Repair;

/// <summary>
/// I06, I07 on a real TPM: files of the state directory lost, damaged or put back while the till was off, alone and in
/// pairs. Nothing older is ever accepted, and every case ends in NORMAL without anybody touching the till.
/// </summary>
public sealed class PutBackTests : IAsyncLifetime
{
    private LiveTill _till = null!;
    private string _old = "";
    private long _generation;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private string State => _till.Folder.State;

    /// <summary>A till at version 3 that was copied at version 1, and is switched off now.</summary>
    public async ValueTask InitializeAsync()
    {
        _till = await LiveTill.StartEnrolledAsync(Cancel, TimeSpan.FromSeconds(1));
        _old = Path.Combine(_till.Folder.Root, "old");
        await _till.Agent.Process.TerminateAsync(Cancel);
        Copy(State, _old);
        await _till.RestartAgentAsync();
        await _till.Operator.RotateAsync(Cancel);
        await _till.Operator.RotateAsync(Cancel);
        _generation = (await _till.AgreementAsync()).Bound.Generation;
        await _till.Agent.Process.TerminateAsync(Cancel);
    }

    public ValueTask DisposeAsync() => _till.DisposeAsync();

    [Theory]
    [InlineData("state.json")]
    [InlineData("state.json.bak")]
    public async Task One_of_the_two_copies_of_the_state_is_enough(string lost)
    {
        byte[] state = await File.ReadAllBytesAsync(Path.Combine(State, "state.json"), Cancel);
        File.Delete(Path.Combine(State, lost));

        await StartUnheardAsync();

        Assert.Equal(("NORMAL", 3L), Shown(await _till.StatusAsync()));
        Assert.Equal(state, await File.ReadAllBytesAsync(Path.Combine(State, "state.json"), Cancel));
    }

    [Theory]
    [InlineData("state.json")]
    [InlineData("run.json")]
    [InlineData("state.json", "run.json")]
    [InlineData("keysets.json")]
    public async Task Files_put_back_beside_a_good_copy_gain_nothing(params string[] files)
    {
        PutBack(files);

        await StartUnheardAsync();

        Assert.Equal(("NORMAL", 3L), Shown(await _till.StatusAsync()));
        await AgreeAsync(atLeast: 3);
    }

    [Theory]
    [InlineData("state.json", "state.json.bak")]
    [InlineData("state.json", "state.json.bak", "run.json")]
    public async Task A_state_put_back_is_locked_and_repaired_by_the_server(params string[] files)
    {
        PutBack(files);
        await LockedAndRepairedAsync("state_rollback");
    }

    [Fact]
    public async Task The_whole_folder_put_back_is_locked_and_repaired_by_the_server()
    {
        foreach (string file in Directory.GetFiles(State)) File.Delete(file);
        Directory.Delete(Path.Combine(State, "secrets"), recursive: true);
        Copy(_old, State);
        await LockedAndRepairedAsync("state_rollback");
    }

    [Fact]
    public async Task Without_any_state_file_the_till_is_locked_and_repaired_by_the_server()
    {
        foreach (string file in Directory.GetFiles(State, "state.json*")) File.Delete(file);
        await LockedAndRepairedAsync("state_corrupt");
    }

    [Fact]
    public async Task A_changed_byte_in_both_copies_is_locked_and_repaired()
    {
        foreach (string name in (string[])["state.json", "state.json.bak"])
        {
            string text = await File.ReadAllTextAsync(Path.Combine(State, name), Cancel);
            await File.WriteAllTextAsync(
                Path.Combine(State, name), text.Replace("\"GRACE\"", "\"ACTIVE\"", StringComparison.Ordinal), Cancel);
        }

        await LockedAndRepairedAsync("state_rollback");
    }

    [Fact]
    public async Task A_secret_file_swapped_for_an_older_one_is_locked_and_repaired()
    {
        File.Copy(Path.Combine(State, "secrets", "v2.jws"), Path.Combine(State, "secrets", "v3.jws"), overwrite: true);
        await LockedAndRepairedAsync("secret_unreadable");
    }

    [Fact]
    public async Task A_lost_secret_file_of_a_version_in_GRACE_costs_that_version_alone()
    {
        File.Delete(Path.Combine(State, "secrets", "v2.jws"));
        await StartUnheardAsync();
        Assert.Equal(("NORMAL", 3L), Shown(await _till.StatusAsync()));
    }

    [Fact]
    public async Task A_lost_chain_of_keysets_is_fetched_again()
    {
        File.Delete(Path.Combine(State, "keysets.json"));
        await _till.RestartAgentAsync();
        await AgreeAsync(atLeast: 3);
        Assert.True(File.Exists(Path.Combine(State, "keysets.json")));
    }

    /// <summary>First without the server: LOCKED, nothing validates. Then with it.</summary>
    private async Task LockedAndRepairedAsync(string reason)
    {
        await StartUnheardAsync();
        StatusResponse locked = await _till.StatusAsync();
        Assert.Equal(("LOCKED", reason), (locked.Mode, locked.LockReason));
        Assert.Contains(locked.Alerts, a => a.Id == reason);
        string token = await _till.Server.IssueAsync(LiveTill.Name);
        Assert.Equal("LOCKED", (await _till.ValidateAsync(token)).Reason);

        _till.Server.Faults.Heal();
        TillBooks books = await AgreeAsync(atLeast: 3);

        Assert.Equal(3, books.Server.Highest);
        Assert.True(books.Bound.Generation > _generation);
        Assert.True((await _till.ValidateAsync(token)).IsValid);
    }

    /// <summary>Starts the agent with a server that answers nothing.</summary>
    private async Task StartUnheardAsync()
    {
        _till.Server.Faults.Add(new ServerFault { Match = "*", Times = 0, Drop = true });
        await _till.RestartAgentAsync();
    }

    private async Task<TillBooks> AgreeAsync(long atLeast)
    {
        _till.Server.Faults.Heal();
        TillBooks books = await _till.AgreementAsync();
        books.Bound.CheckInvariants();
        Assert.True(books.Active >= atLeast, books.ToString());
        return books;
    }

    private void PutBack(string[] files)
    {
        foreach (string name in files)
        {
            File.Copy(Path.Combine(_old, name), Path.Combine(State, name), overwrite: true);
        }
    }

    private static void Copy(string from, string to)
    {
        FormatFolder.CopyFiles(from, to);
        FormatFolder.CopyFiles(Path.Combine(from, "secrets"), Path.Combine(to, "secrets"));
        File.SetUnixFileMode(
            Path.Combine(to, "secrets"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    private static (string Mode, long Version) Shown(StatusResponse status) =>
        (status.Mode, status.ActiveSecret?.Version ?? 0);
}
