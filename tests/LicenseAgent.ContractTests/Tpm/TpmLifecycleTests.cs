using System.Security.Cryptography;
using LicenseAgent.Testbed.Tpm;
using LicenseAgent.Tpm;

namespace LicenseAgent.ContractTests.Tpm;

public sealed class TpmLifecycleTests
{
    [Fact]
    public async Task Smoke()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var swtpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, ct);
        await using var tpm = new TpmDevice(new TpmOptions(swtpm.Device));
        var auth = RandomNumberGenerator.GetBytes(32);
        var identity = await tpm.ProvisionAsync(auth, null, false, ct);
        var again = await tpm.ProvisionAsync(auth, null, false, ct);
        Assert.Equal(identity.SigningName.ToArray(), again.SigningName.ToArray());
        var state = await tpm.OpenAsync(identity.Bind(auth), ct);
        Assert.Null(state.EvenSlot);
        var random = new byte[50];
        await tpm.GetRandomAsync(random, ct);
        var sig = await tpm.SignAsync(SHA256.HashData(random), ct);
        Assert.Equal(64, sig.Length);
        using var rsa = RSA.Create(new RSAParameters { Modulus = identity.DecryptionModulus.ToArray(), Exponent = [1, 0, 1] });
        var ct1 = rsa.Encrypt(random, RSAEncryptionPadding.OaepSHA256);
        var outp = new byte[64];
        Assert.Equal(50, await tpm.UnwrapAsync(ct1, outp, ct));
        Assert.Equal(random, outp[..50]);
        ct1[3] ^= 1;
        var e = await Assert.ThrowsAsync<TpmException>(() => tpm.UnwrapAsync(ct1, outp, ct));
        Console.WriteLine(e.Message);
        ct1[0] = 0xff; ct1[1] = 0xff;
        e = await Assert.ThrowsAsync<TpmException>(() => tpm.UnwrapAsync(ct1, outp, ct));
        Console.WriteLine(e.Message);
        await tpm.WriteSlotAsync(1, new byte[96], ct);
        Console.WriteLine(await tpm.IncrementCounterAsync(ct));
        Console.WriteLine(await tpm.ReadClockAsync(ct));
        Console.WriteLine(await tpm.ReadPropertiesAsync(ct));
        Assert.Empty(await tpm.LoadedHandlesAsync(ct));
    }
}
