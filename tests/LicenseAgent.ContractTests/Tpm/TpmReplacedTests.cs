using System.Security.Cryptography;
using LicenseAgent.Testbed.Tpm;
using LicenseAgent.Tpm;
using Xunit;

namespace LicenseAgent.ContractTests.Tpm;

/// <summary>A TPM, or a TPM's memory, that is not the one of the enrolment is refused and left as it is.</summary>
public sealed class TpmReplacedTests(TpmSeed seed)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Another_provisioned_tpm_in_its_place_is_refused()
    {
        await using var till = await seed.StartAsync();
        using var others = await SaveAnotherTillAsync(till.Binding.KeyAuth.ToArray());
        await till.Swtpm.RestoreStateAsync(others.Path, Cancel);

        var e = await Assert.ThrowsAsync<TpmException>(() => till.Device.SignAsync(new byte[32], Cancel));

        Assert.Equal(TpmFailure.Replaced, e.Reason);
        Assert.False(e.IsTransient);
        Assert.Contains("--replace", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cleared_tpm_is_refused_and_nothing_is_made_in_it()
    {
        await using var till = await seed.StartAsync();
        using var tools = new TpmTools(till.Swtpm.ToolsTcti);
        await till.DisconnectAsync();
        await tools.RunAsync("tpm2_clear");
        await using (var device = new TpmDevice(new TpmOptions(till.Swtpm.Device)))
        {
            var e = await Assert.ThrowsAsync<TpmException>(() => device.OpenAsync(till.Binding, Cancel));
            Assert.Equal(TpmFailure.Replaced, e.Reason);
        }

        Assert.Equal("", await tools.RunAsync("tpm2_getcap", "handles-persistent"));
        Assert.Equal("", await tools.RunAsync("tpm2_getcap", "handles-nv-index"));
    }

    [Fact]
    public async Task A_key_that_somebody_evicted_is_missed_by_its_handle()
    {
        await using var till = await seed.StartAsync();
        await till.DisconnectAsync();
        using (var tools = new TpmTools(till.Swtpm.ToolsTcti))
            await tools.RunAsync("tpm2_evictcontrol", "-C", "o", "-c", "0x81018A02");
        await using var device = new TpmDevice(new TpmOptions(till.Swtpm.Device));

        var e = await Assert.ThrowsAsync<TpmException>(() => device.OpenAsync(till.Binding, Cancel));

        Assert.Equal(TpmFailure.NotProvisioned, e.Reason);
        Assert.Contains("0x81018a02", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_wrong_auth_value_fails_once_and_costs_no_lockout()
    {
        await using var till = await seed.StartAsync();
        await using var proxy = TpmProxy.Start(till.Swtpm);
        await till.DisconnectAsync();
        await using var device = new TpmDevice(new TpmOptions(proxy.Device));
        var wrong = till.Binding with { KeyAuth = RandomNumberGenerator.GetBytes(32) };

        var e = await Assert.ThrowsAsync<TpmException>(() => device.OpenAsync(wrong, Cancel));

        Assert.Equal(TpmFailure.AuthFailed, e.Reason);
        Assert.False(e.IsTransient);
        Assert.Equal(1, proxy.Recording.Count(TpmCommand.NvRead));
        Assert.Equal(0u, (await device.ReadPropertiesAsync(Cancel)).LockoutCounter);
    }

    [Theory]
    [InlineData("0x01818A01", "96", "authread|authwrite")]
    [InlineData("0x01818A01", "96", "authread|authwrite|no_da|ownerwrite")]
    [InlineData("0x01818A03", "97", "authread|authwrite|no_da")]
    [InlineData("0x01818A04", "63", "authread|authwrite|no_da")]
    [InlineData("0x01818A02", "8", "authread|authwrite|no_da")]
    [InlineData("0x01818A02", "8", "authread|authwrite|no_da|nt=counter|orderly")]
    public async Task An_nv_index_with_other_attributes_or_size_is_refused(string index, string size, string attributes)
    {
        await using var till = await seed.StartAsync();
        await RedefineAsync(till, index, size, attributes);
        await using var device = new TpmDevice(new TpmOptions(till.Swtpm.Device));

        var e = await Assert.ThrowsAsync<TpmException>(() => device.OpenAsync(till.Binding, Cancel));

        Assert.Equal(TpmFailure.Replaced, e.Reason);
        Assert.Contains(index, e.Message, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_counter_defined_anew_is_refused_although_it_looks_right()
    {
        await using var till = await seed.StartAsync();
        await RedefineAsync(till, "0x01818A02", "8", "authread|authwrite|no_da|nt=counter");
        await using var device = new TpmDevice(new TpmOptions(till.Swtpm.Device));

        var e = await Assert.ThrowsAsync<TpmException>(() => device.OpenAsync(till.Binding, Cancel));

        Assert.Equal(TpmFailure.Replaced, e.Reason);
    }

    [Fact]
    public async Task A_counter_that_was_defined_and_counted_anew_stands_above_the_highest_ever()
    {
        await using var till = await seed.StartAsync();
        var highest = await till.Device.IncrementCounterAsync(Cancel);
        await RedefineAsync(till, "0x01818A02", "8", "authread|authwrite|no_da|nt=counter");
        using (var tools = new TpmTools(till.Swtpm.ToolsTcti))
            await tools.RunAsync("tpm2_nvincrement", "0x01818A02", "-C", "0x01818A02", "-P", AuthOf(till));
        await using var device = new TpmDevice(new TpmOptions(till.Swtpm.Device));

        var state = await device.OpenAsync(till.Binding, Cancel);

        Assert.Equal(highest + 1, state.Counter);
    }

    private static string AuthOf(TillTpm till) => "hex:" + Convert.ToHexString(till.Binding.KeyAuth.Span);

    private static async Task RedefineAsync(TillTpm till, string index, string size, string attributes)
    {
        await till.DisconnectAsync();
        using var tools = new TpmTools(till.Swtpm.ToolsTcti);
        await tools.RunAsync("tpm2_nvundefine", index, "-C", "o");
        await tools.RunAsync("tpm2_nvdefine", index, "-C", "o", "-s", size, "-a", attributes, "-p", AuthOf(till));
    }

    private static async Task<SavedState> SaveAnotherTillAsync(byte[] auth)
    {
        var saved = new SavedState();
        await using var swtpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, Cancel);
        await using var device = new TpmDevice(new TpmOptions(swtpm.Device));
        await device.ProvisionAsync(auth, null, false, Cancel);
        swtpm.SaveState(saved.Path);
        return saved;
    }

    private sealed class SavedState : IDisposable
    {
        public string Path { get; } = Directory.CreateTempSubdirectory("lsa-tpm-state-").FullName;

        public void Dispose() => Directory.Delete(Path, recursive: true);
    }
}
