using System.Security.Cryptography;
using LicenseAgent.Testbed.Tpm;
using LicenseAgent.Tpm;
using Xunit;

namespace LicenseAgent.ContractTests.Tpm;

/// <summary>The ways to a TPM that are not swtpm's own: the simulator's protocol and a character device.</summary>
public sealed class TpmTransportTests(TpmSeed seed)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_simulators_protocol_is_spoken_from_power_on_to_goodbye()
    {
        await using var till = await seed.StartAsync();
        await till.DisconnectAsync();
        await using var bridge = MssimBridge.Start(till.Swtpm);
        await using (var device = new TpmDevice(new TpmOptions(bridge.Device)))
            await UseAsync(till, device);

        // The device is served one client after the other: the next is served when the goodbye was taken.
        await using (var next = new TpmDevice(new TpmOptions(bridge.Device))) await next.ReadClockAsync(Cancel);
        Assert.InRange(bridge.Goodbyes, 1, 2);
    }

    [Fact]
    public async Task A_character_device_is_written_polled_and_read()
    {
        await using var till = await seed.StartAsync();
        await till.DisconnectAsync();
        await using var bridge = PtyBridge.Start(till.Swtpm);
        await using var device = new TpmDevice(new TpmOptions(bridge.Device));

        await UseAsync(till, device);
    }

    [Fact]
    public async Task A_hung_character_device_times_out()
    {
        await using var till = await seed.StartAsync();
        await till.DisconnectAsync();
        await using var bridge = PtyBridge.Start(till.Swtpm);
        await using var device = new TpmDevice(
            new TpmOptions(bridge.Device) { CommandTimeout = TimeSpan.FromMilliseconds(1500) });
        await device.OpenAsync(till.Binding, Cancel);
        till.Swtpm.Stop();

        var e = await Assert.ThrowsAsync<TpmException>(() => device.SignAsync(new byte[32], Cancel));

        Assert.Equal(TpmFailure.TimedOut, e.Reason);
        Assert.Contains("/dev/pts/", e.Message, StringComparison.Ordinal);
        till.Swtpm.Continue();
    }

    [Fact]
    public async Task An_swtpm_that_nobody_started_up_is_started_up()
    {
        await using var till = await seed.StartAsync();
        await till.DisconnectAsync();
        await till.Swtpm.RestartAsync(Cancel, startUp: false);

        await using var device = new TpmDevice(new TpmOptions(till.Swtpm.Device));

        await UseAsync(till, device);
    }

    private static async Task UseAsync(TillTpm till, TpmDevice device)
    {
        var secret = RandomNumberGenerator.GetBytes(32);
        var opened = new byte[32];
        await device.OpenAsync(till.Binding, Cancel);
        Assert.Equal(32, await device.UnwrapAsync(till.Wrap(secret), opened, Cancel));
        Assert.Equal(secret, opened);
        Assert.True(till.Verifies(secret, await device.SignAsync(secret, Cancel)));
        await device.GetRandomAsync(new byte[32], Cancel);
        await device.WriteSlotAsync(1, new byte[96], Cancel);
        Assert.Empty(await device.LoadedHandlesAsync(Cancel));
    }
}
