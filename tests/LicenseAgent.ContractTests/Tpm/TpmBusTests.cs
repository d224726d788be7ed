using System.Security.Cryptography;
using LicenseAgent.Testbed.Tpm;
using LicenseAgent.Tpm;
using LicenseAgent.Tpm.Esys;
using Xunit;

namespace LicenseAgent.ContractTests.Tpm;

/// <summary>I30: what a tap on the TPM bus sees. The negative control shows that the tap would see it.</summary>
public sealed class TpmBusTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task No_auth_value_secret_or_random_byte_crosses_the_bus_in_clear()
    {
        await using var run = await LifeOfATillAsync(encryptParameters: true);

        Assert.True(run.Proxy.Recording.Count(TpmCommand.RsaDecrypt) > 0);
        Assert.True(run.Proxy.Recording.Count(TpmCommand.GetRandom) > 0);
        Assert.True(run.Proxy.Recording.Count(TpmCommand.NvDefineSpace) > 0);
        Assert.Empty(run.Proxy.Recording.Find(run.KeyAuth));
        Assert.Empty(run.Proxy.Recording.Find(run.Secret));
        Assert.Empty(run.Proxy.Recording.Find(run.Random));
    }

    [Fact]
    public async Task The_tap_finds_all_of_them_where_session_encryption_is_off()
    {
        await using var run = await LifeOfATillAsync(encryptParameters: false);

        var auth = run.Proxy.Recording.Find(run.KeyAuth);
        Assert.Contains(auth, s => s is { Command: TpmCommand.NvDefineSpace, InResponse: false });
        Assert.Contains(auth, s => s is { Command: TpmCommand.Create, InResponse: false });
        Assert.Contains(
            run.Proxy.Recording.Find(run.Secret), s => s is { Command: TpmCommand.RsaDecrypt, InResponse: true });
        Assert.Contains(
            run.Proxy.Recording.Find(run.Random), s => s is { Command: TpmCommand.GetRandom, InResponse: true });
    }

    [Fact]
    public async Task The_owner_password_is_never_on_the_bus()
    {
        const string password = "owner password of some length";
        await using var swtpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, Cancel);
        using (var tools = new TpmTools(swtpm.ToolsTcti))
            await tools.RunAsync("tpm2_changeauth", "-c", "owner", password);
        await using var proxy = TpmProxy.Start(swtpm);
        await using var device = new TpmDevice(new TpmOptions(proxy.Device));

        await device.ProvisionAsync(RandomNumberGenerator.GetBytes(32), password, false, Cancel);

        Assert.True(proxy.Recording.Count(TpmCommand.EvictControl) > 0);
        Assert.Empty(proxy.Recording.Find(System.Text.Encoding.UTF8.GetBytes(password)));
    }

    [Fact]
    public async Task Every_session_of_an_enrolled_till_is_salted()
    {
        await using var run = await LifeOfATillAsync(encryptParameters: true);

        // TPM2_StartAuthSession: handle tpmKey, handle bind; TPM_RH_NULL (0x40000007) means no salt.
        var starts = run.Proxy.Recording.Exchanges.Where(e => e.Command == TpmCommand.StartAuthSession).ToList();
        Assert.NotEmpty(starts);
        Assert.All(starts, e => Assert.NotEqual("40000007", Convert.ToHexString(e.Request, 10, 4)));
    }

    [Fact]
    public async Task A_session_that_encrypts_without_salt_or_bind_is_refused()
    {
        await using var swtpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, Cancel);
        Assert.True(TpmAddress.TryParse(swtpm.Device, out var address, out _));
        using var link = TpmLink.Connect(address, new TpmOptions(swtpm.Device), true, Cancel);

        Assert.Throws<InvalidOperationException>(() => StartUnsalted(link, Encrypt.Response));
        StartUnsalted(link, Encrypt.None);
    }

    private static void StartUnsalted(TpmLink link, Encrypt parameters)
    {
        using var session = TpmSession.Start(link, EsysNative.None);
        session.For(parameters);
    }

    /// <summary>Provisioning, start, rotation and restart, all through the tap.</summary>
    private static async Task<Run> LifeOfATillAsync(bool encryptParameters)
    {
        var swtpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, Cancel);
        var run = new Run(swtpm, TpmProxy.Start(swtpm));
        try
        {
            await LiveAsync(run, swtpm, encryptParameters);
            return run;
        }
        catch (Exception)
        {
            await run.DisposeAsync();
            throw;
        }
    }

    private static async Task LiveAsync(Run run, SwtpmProcess swtpm, bool encryptParameters)
    {
        await using var device = new TpmDevice(new TpmOptions(run.Proxy.Device), encryptParameters);
        var identity = await device.ProvisionAsync(run.KeyAuth, null, false, Cancel);
        using var rsa = RSA.Create(
            new RSAParameters { Modulus = identity.DecryptionModulus.ToArray(), Exponent = [1, 0, 1] });
        var wrapped = rsa.Encrypt(run.Secret, RSAEncryptionPadding.OaepSHA256);
        for (var start = 0; start < 2; start++)
        {
            await device.OpenAsync(identity.Bind(run.KeyAuth), Cancel);
            await device.GetRandomAsync(run.Random, Cancel);
            await device.SignAsync(SHA256.HashData(wrapped), Cancel);
            Assert.Equal(run.Secret.Length, await device.UnwrapAsync(wrapped, new byte[64], Cancel));
            await device.WriteSlotAsync(0, new byte[96], Cancel);
            await device.IncrementCounterAsync(Cancel);
            await swtpm.RestartAsync(Cancel);
            // The connection died with the old process; the proxy closes it as soon as it reads that.
            await WaitForReconnectAsync(device);
        }
    }

    private static async Task WaitForReconnectAsync(TpmDevice device)
    {
        while (true)
        {
            try
            {
                await device.ReadClockAsync(Cancel);
                return;
            }
            catch (TpmException e) when (e.Reason == TpmFailure.Unavailable)
            {
                // The next call makes a new connection.
                Cancel.ThrowIfCancellationRequested();
            }
        }
    }

    private sealed class Run(SwtpmProcess swtpm, TpmProxy proxy) : IAsyncDisposable
    {
        public TpmProxy Proxy { get; } = proxy;

        public byte[] KeyAuth { get; } = RandomNumberGenerator.GetBytes(32);

        public byte[] Secret { get; } = RandomNumberGenerator.GetBytes(32);

        public byte[] Random { get; } = new byte[32];

        public async ValueTask DisposeAsync()
        {
            await Proxy.DisposeAsync();
            await swtpm.DisposeAsync();
        }
    }
}
