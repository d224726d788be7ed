using LicenseAgent.Daemon.Ports;
using LicenseAgent.Sim.World;
using LicenseAgent.Tpm;
using Xunit;

namespace LicenseAgent.SimTests.World;

/// <summary>What a chip and a disk that are ailing answer at the agent's ports.</summary>
public sealed class PartTroublesTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private readonly PortBench _bench = new();
    private readonly SimDisk _disk = new();
    private readonly SimTpm _tpm;
    private readonly TpmPorts _chip;
    private readonly StateFilesPort _files;

    public PartTroublesTests()
    {
        _tpm = new SimTpm(_bench.Loop, _bench.Chance, _bench.Chance);
        _chip = new TpmPorts(_bench.Life, _tpm, _bench.Chance);
        _files = new StateFilesPort(_bench.Life, _disk, _bench.Chance);
        TpmBirth birth = _bench.Settle(_chip.ProvisionAsync(new byte[32], null, false, default)).GetAwaiter().GetResult();
        _bench.Settle(_chip.OpenAsync(birth.Anchor, default)).GetAwaiter().GetResult();
    }

    [Fact]
    public void A_response_that_cannot_be_read_leaves_its_command_done()
    {
        long before = _tpm.ReadCounter();
        _tpm.Troubles.GarbledOneIn = 1;
        Assert.Equal(TpmTrouble.Unavailable, Trouble(_chip.IncrementCounterAsync(Cancel)));
        Assert.Equal(before + 1, _tpm.ReadCounter());
    }

    [Fact]
    public void A_busy_chip_takes_a_command_late_or_refuses_it_undone()
    {
        _tpm.Troubles.BusyOneIn = 1;
        (int done, int refused, long longest) = (0, 0, 0);
        for (int i = 0; i < 60; i++)
        {
            (long counter, long at) = (_tpm.ReadCounter(), _bench.Loop.NowUs);
            if (_bench.Settle(_chip.IncrementCounterAsync(Cancel)).IsCompletedSuccessfully)
            {
                done++;
                Assert.Equal(counter + 1, _tpm.ReadCounter());
            }
            else
            {
                refused++;
                Assert.Equal(counter, _tpm.ReadCounter());
            }

            longest = Math.Max(longest, _bench.Loop.NowUs - at);
        }

        Assert.InRange(done, 20, 55);
        Assert.InRange(refused, 5, 40);
        Assert.InRange(longest, 2_000_000, 10_000_000);
    }

    [Fact]
    public void Without_a_session_nothing_goes_on_but_the_clock()
    {
        _tpm.Troubles.HasNoHandles = true;
        Assert.Equal(TpmTrouble.Unavailable, Trouble(_chip.GetRandomAsync(new byte[8], Cancel)));
        Assert.Equal(TpmTrouble.Unavailable, Trouble(_chip.ReadCounterAsync(Cancel)));
        Assert.True(_bench.Settle(_chip.ReadClockAsync(Cancel)).IsCompletedSuccessfully);
    }

    [Fact]
    public async Task A_chip_without_its_indices_is_not_that_of_the_enrolment_until_it_is_provisioned()
    {
        byte[] auth = new byte[32];
        TpmAnchor anchor = (await _bench.Settle(_chip.ProvisionAsync(auth, null, false, Cancel))).Anchor;
        long highest = _tpm.ReadCounter();
        _tpm.RemoveIndices();
        Assert.Equal(TpmTrouble.Replaced, Trouble(_chip.OpenAsync(anchor, Cancel)));
        Assert.Equal(TpmTrouble.Replaced, Trouble(_chip.ReadCounterAsync(Cancel)));
        TpmAnchor anew = (await _bench.Settle(_chip.ProvisionAsync(auth, null, true, Cancel))).Anchor;
        await _bench.Settle(_chip.OpenAsync(anew, Cancel));
        Assert.True(await _bench.Settle(_chip.ReadCounterAsync(Cancel)) > highest);
    }

    [Fact]
    public async Task A_disk_mounted_read_only_is_read_and_nothing_else()
    {
        await _bench.Settle(_files.WriteAsync("a", new byte[] { 1 }, Cancel));
        _disk.Troubles.IsReadOnly = true;
        Task[] changes =
        [
            _files.WriteAsync("b", new byte[] { 2 }, Cancel), _files.ReplaceAsync("a", new byte[] { 2 }, Cancel),
            _files.RenameAsync("a", "b", Cancel), _files.EraseAsync("a", Cancel),
        ];
        foreach (Task change in changes)
        {
            StorageException refused = Assert.IsType<StorageException>(
                _bench.Settle(change).Exception!.InnerException);
            Assert.Equal("read_only", refused.Reason);
        }

        Assert.Equal([1], await _bench.Settle(_files.ReadAsync("a", Cancel)));
    }

    private TpmTrouble Trouble(Task call) =>
        Assert.IsType<TpmUnavailableException>(_bench.Settle(call).Exception!.InnerException).Trouble;
}
