using System.Security.Cryptography;
using LicenseAgent.Testbed.Tpm;
using LicenseAgent.Tpm;
using Xunit;

namespace LicenseAgent.ContractTests.Tpm;

/// <summary>Provisioning finds what is there, makes what is missing, and takes nothing over unasked.</summary>
public sealed class TpmProvisioningTests(TpmSeed seed)
{
    // What changes the TPM, with how often it happens; the other commands only look.
    public static TheoryData<TpmCommand, int> ChangingCommands => new()
    {
        { TpmCommand.CreatePrimary, 1 },
        { TpmCommand.CreatePrimary, 2 },
        { TpmCommand.EvictControl, 1 },
        { TpmCommand.EvictControl, 2 },
        { TpmCommand.EvictControl, 3 },
        { TpmCommand.Create, 1 },
        { TpmCommand.Create, 2 },
        { TpmCommand.Load, 1 },
        { TpmCommand.Load, 2 },
        { TpmCommand.NvDefineSpace, 1 },
        { TpmCommand.NvDefineSpace, 2 },
        { TpmCommand.NvDefineSpace, 3 },
        { TpmCommand.NvDefineSpace, 4 },
        { TpmCommand.NvIncrement, 1 },
    };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(ChangingCommands))]
    public async Task A_run_cut_off_before_or_after_any_change_is_finished_by_the_next(
        TpmCommand command, int occurrence)
    {
        foreach (var fault in (TpmFault[])[TpmFault.DropBefore, TpmFault.DropAfter])
        {
            await using var swtpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, Cancel);
            await using var proxy = TpmProxy.Start(swtpm);
            await using var device = new TpmDevice(new TpmOptions(proxy.Device));
            var auth = RandomNumberGenerator.GetBytes(32);
            proxy.Add(new TpmRule { On = command, Occurrence = occurrence, Fault = fault });
            await Assert.ThrowsAsync<TpmException>(() => device.ProvisionAsync(auth, null, false, Cancel));

            var identity = await device.ProvisionAsync(auth, null, false, Cancel);

            var state = await device.OpenAsync(identity.Bind(auth), Cancel);
            Assert.Equal(1ul, state.Counter);
            Assert.Empty(await device.LoadedHandlesAsync(Cancel));
        }
    }

    [Fact]
    public async Task Running_it_again_changes_nothing()
    {
        await using var till = await seed.StartAsync();
        var counter = await till.Device.IncrementCounterAsync(Cancel);

        var again = await till.Device.ProvisionAsync(till.Binding.KeyAuth, null, false, Cancel);

        Assert.Equal(till.Identity.SigningName.ToArray(), again.SigningName.ToArray());
        Assert.Equal(till.Identity.DecryptionName.ToArray(), again.DecryptionName.ToArray());
        Assert.Equal(till.Identity.SrkName.ToArray(), again.SrkName.ToArray());
        Assert.Equal(counter, await till.Device.ReadCounterAsync(Cancel));
    }

    [Fact]
    public async Task Replacing_gives_other_keys_and_a_counter_above_the_highest_ever()
    {
        await using var till = await seed.StartAsync();
        await till.Device.IncrementCounterAsync(Cancel);
        var highest = await till.Device.IncrementCounterAsync(Cancel);
        await till.Device.WriteSlotAsync(0, new byte[96], Cancel);
        var auth = RandomNumberGenerator.GetBytes(32);

        var fresh = await till.Device.ProvisionAsync(auth, null, replace: true, Cancel);

        var state = await till.Device.OpenAsync(fresh.Bind(auth), Cancel);
        Assert.NotEqual(till.Identity.SigningName.ToArray(), fresh.SigningName.ToArray());
        Assert.NotEqual(till.Identity.DecryptionName.ToArray(), fresh.DecryptionName.ToArray());
        Assert.Equal(till.Identity.SrkName.ToArray(), fresh.SrkName.ToArray());
        Assert.Equal(highest + 1, state.Counter);
        Assert.Null(state.EvenSlot);
    }

    [Fact]
    public async Task Keys_of_another_enrolment_are_not_taken_over_unasked()
    {
        await using var till = await seed.StartAsync();

        var e = await Assert.ThrowsAsync<TpmException>(
            () => till.Device.ProvisionAsync(RandomNumberGenerator.GetBytes(32), null, false, Cancel));

        Assert.Equal(TpmFailure.KeyHandleTaken, e.Reason);
        Assert.False(e.IsTransient);
        Assert.Contains("--replace", e.Message, StringComparison.Ordinal);
        await till.Device.OpenAsync(till.Binding, Cancel);
    }

    [Fact]
    public async Task Somebody_elses_key_at_the_handle_is_left_alone()
    {
        await using var swtpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, Cancel);
        using var tools = new TpmTools(swtpm.ToolsTcti);
        await tools.RunAsync("tpm2_createprimary", "-C", "o", "-G", "ecc", "-c", "their.ctx");
        await tools.RunAsync("tpm2_evictcontrol", "-C", "o", "-c", "their.ctx", "0x81018A01");
        await tools.RunAsync("tpm2_flushcontext", "-t");
        var before = await tools.RunAsync("tpm2_readpublic", "-c", "0x81018A01");
        await using (var device = new TpmDevice(new TpmOptions(swtpm.Device)))
        {
            var e = await Assert.ThrowsAsync<TpmException>(
                () => device.ProvisionAsync(new byte[32], null, false, Cancel));
            Assert.Equal(TpmFailure.KeyHandleTaken, e.Reason);
        }

        Assert.Equal(before, await tools.RunAsync("tpm2_readpublic", "-c", "0x81018A01"));
    }

    [Fact]
    public async Task Somebody_elses_nv_index_is_left_alone()
    {
        await using var swtpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, Cancel);
        using var tools = new TpmTools(swtpm.ToolsTcti);
        await tools.RunAsync("tpm2_nvdefine", "0x01818A03", "-C", "o", "-s", "96");
        await using (var device = new TpmDevice(new TpmOptions(swtpm.Device)))
        {
            var e = await Assert.ThrowsAsync<TpmException>(
                () => device.ProvisionAsync(new byte[32], null, false, Cancel));
            Assert.Equal(TpmFailure.KeyHandleTaken, e.Reason);
            Assert.Contains("0x01818a03", e.Message, StringComparison.Ordinal);
        }

        var index = await tools.RunAsync("tpm2_nvreadpublic", "0x01818A03");
        Assert.Contains("ownerwrite", index, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("rsa2048:aes128cfb")]
    [InlineData("ecc256:aes128cfb")]
    public async Task A_storage_root_key_that_is_there_is_used_and_left(string algorithm)
    {
        await using var swtpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, Cancel);
        using var tools = new TpmTools(swtpm.ToolsTcti);
        await tools.RunAsync("tpm2_createprimary", "-C", "o", "-G", algorithm, "-c", "srk.ctx");
        await tools.RunAsync("tpm2_evictcontrol", "-C", "o", "-c", "srk.ctx", "0x81000001");
        await tools.RunAsync("tpm2_flushcontext", "-t");
        await tools.RunAsync("tpm2_readpublic", "-c", "0x81000001", "-n", "srk.name");
        await using var device = new TpmDevice(new TpmOptions(swtpm.Device));
        var auth = RandomNumberGenerator.GetBytes(32);

        var identity = await device.ProvisionAsync(auth, null, false, Cancel);

        Assert.Equal(await File.ReadAllBytesAsync(tools.PathOf("srk.name"), Cancel), identity.SrkName.ToArray());
        await device.OpenAsync(identity.Bind(auth), Cancel);
        Assert.Equal(64, (await device.SignAsync(new byte[32], Cancel)).Length);
    }

    [Fact]
    public async Task An_object_that_cannot_be_a_parent_at_the_root_keys_handle_is_named()
    {
        await using var swtpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, Cancel);
        using var tools = new TpmTools(swtpm.ToolsTcti);
        await tools.RunAsync(
            "tpm2_createprimary", "-C", "o", "-G", "ecc256:ecdsa-sha256:null", "-a",
            "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign", "-c", "key.ctx");
        await tools.RunAsync("tpm2_evictcontrol", "-C", "o", "-c", "key.ctx", "0x81000001");
        await tools.RunAsync("tpm2_flushcontext", "-t");
        await using var device = new TpmDevice(new TpmOptions(swtpm.Device));

        var e = await Assert.ThrowsAsync<TpmException>(() => device.ProvisionAsync(new byte[32], null, false, Cancel));

        Assert.Equal(TpmFailure.KeyHandleTaken, e.Reason);
        Assert.Contains("0x81000001", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("wrong")]
    public async Task An_owner_password_is_asked_for_with_the_option_that_gives_it(string? given)
    {
        await using var swtpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, Cancel);
        using var tools = new TpmTools(swtpm.ToolsTcti);
        await tools.RunAsync("tpm2_changeauth", "-c", "owner", "secret owner");
        await using var device = new TpmDevice(new TpmOptions(swtpm.Device));

        var e = await Assert.ThrowsAsync<TpmException>(() => device.ProvisionAsync(new byte[32], given, false, Cancel));

        Assert.Equal(TpmFailure.OwnerAuthRequired, e.Reason);
        Assert.Contains("--owner-auth-file", e.Message, StringComparison.Ordinal);
        Assert.Empty(await device.LoadedHandlesAsync(Cancel));
    }

    [Fact]
    public async Task With_the_owner_password_it_works_and_afterwards_none_is_needed()
    {
        await using var swtpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, Cancel);
        using var tools = new TpmTools(swtpm.ToolsTcti);
        await tools.RunAsync("tpm2_changeauth", "-c", "owner", "secret owner");
        var auth = RandomNumberGenerator.GetBytes(32);
        await using var device = new TpmDevice(new TpmOptions(swtpm.Device));

        var identity = await device.ProvisionAsync(auth, "secret owner", false, Cancel);
        await swtpm.RestartAsync(Cancel);

        await device.OpenAsync(identity.Bind(auth), Cancel);
        Assert.Equal(64, (await device.SignAsync(new byte[32], Cancel)).Length);
        Assert.Equal(2ul, await device.IncrementCounterAsync(Cancel));
        Assert.True((await device.ReadPropertiesAsync(Cancel)).OwnerAuthSet);
    }

    [Fact]
    public async Task An_auth_value_that_ends_in_zeros_authorises()
    {
        await using var swtpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, Cancel);
        await using var device = new TpmDevice(new TpmOptions(swtpm.Device));
        var auth = RandomNumberGenerator.GetBytes(32);
        auth.AsSpan(30).Clear();

        var identity = await device.ProvisionAsync(auth, null, false, Cancel);

        await device.OpenAsync(identity.Bind(auth), Cancel);
        Assert.Equal(64, (await device.SignAsync(new byte[32], Cancel)).Length);
    }

    [Fact]
    public async Task Keys_go_to_the_configured_handles()
    {
        await using var swtpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, Cancel);
        await using (var device = new TpmDevice(new TpmOptions(swtpm.Device, 0x81010011, 0x81010012)))
        {
            var identity = await device.ProvisionAsync(new byte[32], null, false, Cancel);
            await device.OpenAsync(identity.Bind(new byte[32]), Cancel);
        }

        using var tools = new TpmTools(swtpm.ToolsTcti);
        var handles = await tools.RunAsync("tpm2_getcap", "handles-persistent");
        Assert.Equal(["0x81000001", "0x81010011", "0x81010012"], handles.Split("- ")[1..].Select(h => h.Trim()));
    }
}
