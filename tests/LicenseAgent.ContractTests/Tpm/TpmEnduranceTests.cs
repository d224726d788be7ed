using System.Security.Cryptography;
using LicenseAgent.Tpm;
using Xunit;

namespace LicenseAgent.ContractTests.Tpm;

/// <summary>I26: no lockout and no leaked handle, however long and however rough.</summary>
public sealed class TpmEnduranceTests(TpmSeed seed)
{
    private const int PowerCuts = 20;
    private const int Cycles = 2000;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Twenty_power_cuts_right_after_use_lock_nothing()
    {
        await using var till = await seed.StartAsync();
        var wrapped = till.Wrap(new byte[32]);
        var counter = await till.Device.ReadCounterAsync(Cancel);
        for (var cut = 0; cut < PowerCuts; cut++)
        {
            await till.Device.OpenAsync(till.Binding, Cancel);
            Assert.Equal(32, await till.Device.UnwrapAsync(wrapped, new byte[32], Cancel));
            Assert.Equal(++counter, await till.Device.IncrementCounterAsync(Cancel));
            await till.Swtpm.RestartAsync(Cancel);
        }

        var properties = await till.Device.ReadPropertiesAsync(Cancel);
        Assert.Equal(0u, properties.LockoutCounter);
        Assert.False(properties.InLockout);
        Assert.Equal(counter, await till.Device.ReadCounterAsync(Cancel));
        Assert.Equal(64, (await till.Device.SignAsync(new byte[32], Cancel)).Length);
    }

    [Fact]
    public async Task Two_thousand_calls_leave_no_object_and_no_session()
    {
        await using var till = await seed.StartAsync();
        var wrapped = till.Wrap(new byte[32]);
        var damaged = wrapped.ToArray();
        damaged[17] ^= 1;
        for (var cycle = 0; cycle < Cycles; cycle++)
        {
            switch (cycle % 5)
            {
                case 0:
                    await till.Device.SignAsync(RandomNumberGenerator.GetBytes(32), Cancel);
                    break;
                case 1:
                    await till.Device.GetRandomAsync(new byte[32], Cancel);
                    break;
                case 2:
                    await till.Device.ReadCounterAsync(Cancel);
                    break;
                case 3:
                    await till.Device.WriteMirrorAsync(new byte[64], Cancel);
                    break;
                // Failing calls leak where successful ones do not; a handful is enough, RSA is slow.
                default:
                    if (cycle % 100 != 4) break;
                    await Assert.ThrowsAsync<TpmException>(
                        () => till.Device.UnwrapAsync(damaged, new byte[32], Cancel));
                    break;
            }
        }

        Assert.Empty(await till.Device.LoadedHandlesAsync(Cancel));
    }
}
