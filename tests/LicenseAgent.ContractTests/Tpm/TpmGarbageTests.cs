using LicenseAgent.Testbed.Tpm;
using LicenseAgent.Tpm;
using Xunit;

namespace LicenseAgent.ContractTests.Tpm;

/// <summary>
/// Answers that were altered on the bus: an exception of the right kind, never a crash, a hang or a wrong result.
/// </summary>
public sealed class TpmGarbageTests(TpmSeed seed)
{
    private const int Flips = 300;

    // Opening is some 30 commands long, the calls after it 20; a flip beyond the end would test nothing.
    private const int CommandsOfARound = 45;

    // A flip in a size makes the device wait; in a round that is one outcome of several, so it may be short.
    private static readonly TimeSpan s_veryShort = TimeSpan.FromMilliseconds(500);

    private static readonly TimeSpan s_short = TimeSpan.FromMilliseconds(1500);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_flipped_bit_anywhere_gives_a_tpm_exception_or_the_true_result(int randomSeed)
    {
        await using var till = await seed.StartAsync();
        await till.DisconnectAsync();
        await using var proxy = TpmProxy.Start(till.Swtpm);
        await using var device = new TpmDevice(new TpmOptions(proxy.Device) { CommandTimeout = s_veryShort });
        var random = new Random(randomSeed);
        var wrapped = till.Wrap(new byte[32]);
        var struck = 0;
        for (var flip = 0; flip < Flips; flip++)
        {
            var rule = proxy.Add(new TpmRule
            {
                Fault = TpmFault.Corrupt,
                Occurrence = random.Next(1, CommandsOfARound),
                Offset = random.Next(4096),
                Mask = (byte)(1 << random.Next(8)),
            });
            await RoundAsync(till, device, wrapped);
            if (rule.Reached.IsCompleted) struck++;
            proxy.Heal();
        }

        Assert.InRange(struck, Flips / 4, Flips);
        await device.DisposeAsync();
        await using var patient = new TpmDevice(new TpmOptions(proxy.Device));
        await SettleAsync(patient);
        await patient.OpenAsync(till.Binding, Cancel);
        Assert.Equal(32, await patient.UnwrapAsync(wrapped, new byte[32], Cancel));
        Assert.Empty(await patient.LoadedHandlesAsync(Cancel));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(5)]
    [InlineData(10)]
    [InlineData(40)]
    public async Task An_answer_cut_short_times_out(int length)
    {
        await using var till = await seed.StartAsync();
        await till.DisconnectAsync();
        await using var proxy = TpmProxy.Start(till.Swtpm);
        await using var device = new TpmDevice(new TpmOptions(proxy.Device) { CommandTimeout = s_short });
        await device.OpenAsync(till.Binding, Cancel);
        proxy.Add(new TpmRule { On = TpmCommand.Sign, Fault = TpmFault.Truncate, Offset = length });

        var e = await Assert.ThrowsAsync<TpmException>(() => device.SignAsync(new byte[32], Cancel));

        Assert.Equal(TpmFailure.TimedOut, e.Reason);
        await SettleAsync(device);
        Assert.Equal(64, (await device.SignAsync(new byte[32], Cancel)).Length);
    }

    [Theory]
    [InlineData(0, 0x40)]
    [InlineData(1, 0x10)]
    [InlineData(2, 0x80)]
    [InlineData(4, 0x40)]
    public async Task A_header_that_cannot_be_one_is_a_bad_response(int offset, byte mask)
    {
        await using var till = await seed.StartAsync();
        await till.DisconnectAsync();
        await using var proxy = TpmProxy.Start(till.Swtpm);
        await using var device = new TpmDevice(new TpmOptions(proxy.Device));
        await device.OpenAsync(till.Binding, Cancel);
        proxy.Add(new TpmRule { On = TpmCommand.Sign, Fault = TpmFault.Corrupt, Offset = offset, Mask = mask });

        var e = await Assert.ThrowsAsync<TpmException>(() => device.SignAsync(new byte[32], Cancel));

        Assert.Equal(TpmFailure.BadResponse, e.Reason);
        Assert.True(e.IsTransient);
    }

    [Theory]
    [InlineData(TpmCommand.RsaDecrypt)]
    [InlineData(TpmCommand.NvRead)]
    [InlineData(TpmCommand.GetRandom)]
    public async Task A_changed_byte_of_an_authenticated_answer_is_caught_by_its_hmac(TpmCommand command)
    {
        await using var till = await seed.StartAsync();
        await till.DisconnectAsync();
        await using var proxy = TpmProxy.Start(till.Swtpm);
        await using var device = new TpmDevice(new TpmOptions(proxy.Device));
        await device.OpenAsync(till.Binding, Cancel);
        // Header 10, parameter size 4, TPM2B length 2: byte 20 is within the encrypted content.
        proxy.Add(new TpmRule { On = command, Fault = TpmFault.Corrupt, Offset = 20, Mask = 1 });

        var e = await Assert.ThrowsAsync<TpmException>(() => command switch
        {
            TpmCommand.RsaDecrypt => device.UnwrapAsync(till.Wrap(new byte[32]), new byte[32], Cancel),
            TpmCommand.NvRead => device.ReadCounterAsync(Cancel),
            _ => device.GetRandomAsync(new byte[32], Cancel),
        });

        Assert.Equal(TpmFailure.BadResponse, e.Reason);
    }

    [Fact]
    public async Task One_refusal_that_is_not_repeated_does_not_condemn_a_secret()
    {
        await using var till = await seed.StartAsync();
        await till.DisconnectAsync();
        await using var proxy = TpmProxy.Start(till.Swtpm);
        await using var device = new TpmDevice(new TpmOptions(proxy.Device));
        await device.OpenAsync(till.Binding, Cancel);
        proxy.Add(new TpmRule { On = TpmCommand.RsaDecrypt, Fault = TpmFault.Answer, Rc = 0x2C4 });

        Assert.Equal(32, await device.UnwrapAsync(till.Wrap(new byte[32]), new byte[32], Cancel));
    }

    /// <summary>A start and one of each call; every failure must be a TpmException, every success true.</summary>
    private static async Task RoundAsync(TillTpm till, TpmDevice device, byte[] wrapped)
    {
        try
        {
            await device.OpenAsync(till.Binding, Cancel);
            var digest = new byte[32];
            Assert.True(till.Verifies(digest, await device.SignAsync(digest, Cancel)));
            var secret = new byte[40];
            secret.AsSpan().Fill(0xEE);
            Assert.Equal(32, await device.UnwrapAsync(wrapped, secret, Cancel));
            Assert.Equal(new byte[32], secret[..32]);
            await device.GetRandomAsync(new byte[48], Cancel);
            await device.ReadPropertiesAsync(Cancel);
        }
        catch (TpmException)
        {
            // The alternative to the true result.
        }
    }

    // After a cut the proxy may still be closing the connection on which it happened.
    private static async Task SettleAsync(TpmDevice device)
    {
        while (true)
        {
            try
            {
                await device.ReadClockAsync(Cancel);
                return;
            }
            catch (TpmException e) when (e.IsTransient)
            {
                Cancel.ThrowIfCancellationRequested();
            }
        }
    }
}
