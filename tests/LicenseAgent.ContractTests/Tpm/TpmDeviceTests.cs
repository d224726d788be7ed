using System.Security.Cryptography;
using LicenseAgent.Testbed.Tpm;
using LicenseAgent.Tpm;
using Xunit;

namespace LicenseAgent.ContractTests.Tpm;

/// <summary>Every public call of the device, once, against a real TPM emulator.</summary>
public sealed class TpmDeviceTests(TpmSeed seed)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_signature_verifies_under_the_public_key_of_the_identity()
    {
        await using var till = await seed.StartAsync();
        var digest = RandomNumberGenerator.GetBytes(32);

        var signature = await till.Device.SignAsync(digest, Cancel);

        Assert.Equal(64, signature.Length);
        Assert.True(till.Verifies(digest, signature));
    }

    [Fact]
    public async Task A_wrapped_secret_opens_into_the_callers_buffer()
    {
        await using var till = await seed.StartAsync();
        var secret = RandomNumberGenerator.GetBytes(32);
        var destination = new byte[40];

        var count = await till.Device.UnwrapAsync(till.Wrap(secret), destination, Cancel);

        Assert.Equal(32, count);
        Assert.Equal(secret, destination[..32]);
        Assert.Equal(new byte[8], destination[32..]);
    }

    [Theory]
    [InlineData("bit")]
    [InlineData("top")]
    [InlineData("short")]
    [InlineData("empty")]
    [InlineData("other key")]
    [InlineData("too long inside")]
    public async Task A_ciphertext_that_can_never_open_is_told_from_a_tpm_that_may_recover(string damage)
    {
        await using var till = await seed.StartAsync();
        var ciphertext = till.Wrap(RandomNumberGenerator.GetBytes(damage == "too long inside" ? 33 : 32));
        using var other = RSA.Create(2048);
        if (damage == "bit") ciphertext[100] ^= 1;
        if (damage == "top") Array.Fill(ciphertext, (byte)0xFF);
        if (damage == "short") ciphertext = ciphertext[1..];
        if (damage == "empty") ciphertext = [];
        if (damage == "other key") ciphertext = other.Encrypt(new byte[32], RSAEncryptionPadding.OaepSHA256);
        var destination = new byte[32];

        var e = await Assert.ThrowsAsync<TpmException>(() => till.Device.UnwrapAsync(ciphertext, destination, Cancel));

        Assert.Equal(TpmFailure.DecryptFailed, e.Reason);
        Assert.False(e.IsTransient);
        Assert.Equal(new byte[32], destination);
    }

    [Fact]
    public async Task Slots_and_mirror_are_null_until_written_and_then_read_back()
    {
        await using var till = await seed.StartAsync();
        var even = RandomNumberGenerator.GetBytes(96);
        var odd = RandomNumberGenerator.GetBytes(96);
        var mirror = RandomNumberGenerator.GetBytes(64);
        Assert.Null(await till.Device.ReadSlotAsync(0, Cancel));
        Assert.Null(await till.Device.ReadSlotAsync(1, Cancel));
        Assert.Null(await till.Device.ReadMirrorAsync(Cancel));

        await till.Device.WriteSlotAsync(0, even, Cancel);
        await till.Device.WriteSlotAsync(1, odd, Cancel);
        await till.Device.WriteMirrorAsync(mirror, Cancel);

        Assert.Equal(even, await till.Device.ReadSlotAsync(0, Cancel));
        Assert.Equal(odd, await till.Device.ReadSlotAsync(1, Cancel));
        Assert.Equal(mirror, await till.Device.ReadMirrorAsync(Cancel));
    }

    [Fact]
    public async Task A_slot_of_ones_reads_as_never_written()
    {
        await using var till = await seed.StartAsync();
        var ones = new byte[96];
        Array.Fill(ones, (byte)0xFF);

        await till.Device.WriteSlotAsync(0, ones, Cancel);

        Assert.Null(await till.Device.ReadSlotAsync(0, Cancel));
    }

    [Fact]
    public async Task The_counter_is_readable_after_provisioning_and_moves_by_one()
    {
        await using var till = await seed.StartAsync();

        var before = await till.Device.ReadCounterAsync(Cancel);
        var after = await till.Device.IncrementCounterAsync(Cancel);

        Assert.True(before >= 1);
        Assert.Equal(before + 1, after);
        Assert.Equal(after, await till.Device.ReadCounterAsync(Cancel));
    }

    [Fact]
    public async Task Opening_reads_everything_that_the_tpm_remembers()
    {
        await using var till = await seed.StartAsync();
        var odd = RandomNumberGenerator.GetBytes(96);
        var mirror = RandomNumberGenerator.GetBytes(64);
        await till.Device.WriteSlotAsync(1, odd, Cancel);
        await till.Device.WriteMirrorAsync(mirror, Cancel);
        var counter = await till.Device.IncrementCounterAsync(Cancel);

        var state = await till.Device.OpenAsync(till.Binding, Cancel);

        Assert.Null(state.EvenSlot);
        Assert.Equal(odd, state.OddSlot);
        Assert.Equal(mirror, state.Mirror);
        Assert.Equal(counter, state.Counter);
    }

    [Fact]
    public async Task The_clock_does_not_fall_and_a_reset_is_counted()
    {
        await using var till = await seed.StartAsync();
        var first = await till.Device.ReadClockAsync(Cancel);
        var second = await till.Device.ReadClockAsync(Cancel);

        await till.Swtpm.RestartAsync(Cancel);
        var third = await till.Device.ReadClockAsync(Cancel);

        Assert.True(second.ClockMs >= first.ClockMs);
        Assert.Equal(first.ResetCount, second.ResetCount);
        Assert.Equal(first.ResetCount + 1, third.ResetCount);
    }

    [Theory]
    [InlineData(32)]
    [InlineData(33)]
    [InlineData(1000)]
    public async Task Random_bytes_fill_the_whole_buffer(int size)
    {
        await using var till = await seed.StartAsync();
        var first = new byte[size];
        var second = new byte[size];

        await till.Device.GetRandomAsync(first, Cancel);
        await till.Device.GetRandomAsync(second, Cancel);

        // A buffer's last 16 bytes stay zero, or repeat, by chance once in 2^128.
        Assert.NotEqual(new byte[16], first[^16..]);
        Assert.NotEqual(first[^16..], second[^16..]);
    }

    [Fact]
    public async Task Properties_name_the_maker_and_an_unlocked_tpm()
    {
        await using var till = await seed.StartAsync();

        var properties = await till.Device.ReadPropertiesAsync(Cancel);

        Assert.Equal("IBM", properties.Manufacturer);
        Assert.NotEqual("00000000.00000000", properties.FirmwareVersion);
        Assert.False(properties.OwnerAuthSet);
        Assert.False(properties.InLockout);
        Assert.Equal(0u, properties.LockoutCounter);
        Assert.Equal(3u, properties.MaxAuthFail);
        Assert.Equal(TimeSpan.FromSeconds(1000), properties.LockoutInterval);
    }

    [Theory]
    [InlineData(SwtpmListen.Unix)]
    [InlineData(SwtpmListen.Tcp)]
    public async Task Both_sockets_of_the_emulator_are_spoken(SwtpmListen listen)
    {
        await using var till = await seed.StartAsync(listen);

        Assert.Empty(await till.Device.LoadedHandlesAsync(Cancel));
        Assert.NotEmpty(await till.Device.SignAsync(new byte[32], Cancel));
    }

    [Fact]
    public async Task A_call_before_opening_is_refused_as_a_mistake_of_the_caller()
    {
        await using var till = await seed.StartAsync();
        await till.DisconnectAsync();
        await using var fresh = new TpmDevice(new TpmOptions(till.Swtpm.Device));

        await Assert.ThrowsAsync<InvalidOperationException>(() => fresh.SignAsync(new byte[32], Cancel));
    }
}
