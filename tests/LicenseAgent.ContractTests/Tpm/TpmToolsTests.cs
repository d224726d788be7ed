using System.Buffers.Binary;
using System.Security.Cryptography;
using LicenseAgent.Testbed.Tpm;
using LicenseAgent.Tpm;
using Xunit;

namespace LicenseAgent.ContractTests.Tpm;

/// <summary>
/// What another implementation, the tpm2-tools, sees of what the agent did, while the agent is connected.
/// </summary>
public sealed class TpmToolsTests(TpmSeed seed)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("0x81018A01", "sign", "ecdsa")]
    [InlineData("0x81018A02", "decrypt", "oaep")]
    public async Task Both_keys_are_persistent_fixed_and_free_of_lockout(string handle, string use, string scheme)
    {
        await using var view = await ViewAsync();

        var area = await view.Tools.RunAsync("tpm2_readpublic", "-c", handle);

        Assert.Contains(
            $"value: fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|{use}\n",
            area,
            StringComparison.Ordinal);
        Assert.Contains($"value: {scheme}", area, StringComparison.Ordinal);
        Assert.Contains("value: sha256", area, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("0x81018A01")]
    [InlineData("0x81018A02")]
    public async Task A_key_cannot_be_duplicated(string handle)
    {
        await using var view = await ViewAsync();
        await view.Tools.RunAsync("tpm2_startauthsession", "-S", "session.ctx", "--policy-session");
        await view.Tools.RunAsync("tpm2_policycommandcode", "-S", "session.ctx", "-L", "policy", "TPM2_CC_Duplicate");
        await view.Tools.RunAsync("tpm2_createprimary", "-C", "o", "-G", "ecc", "-c", "parent.ctx");

        var (exit, output) = await view.Tools.TryAsync(
            "tpm2_duplicate", "-C", "parent.ctx", "-c", handle, "-G", "null", "-p", "session:session.ctx", "-r",
            "key.priv", "-s", "seed");

        Assert.NotEqual(0, exit);
        Assert.Contains("Esys_Duplicate", output, StringComparison.Ordinal);
        var attempts = view.Proxy.Recording.Exchanges.Where(e => e.Command == TpmCommand.Duplicate).ToList();
        Assert.NotEmpty(attempts);
        Assert.All(attempts, e => Assert.Equal(10, e.Response.Length));
    }

    [Fact]
    public async Task The_slot_that_the_codec_wrote_is_the_nv_index_byte_for_byte()
    {
        await using var view = await ViewAsync();
        var slot = new NvSlot(NvSecretState.Active, 7, 1000, 2000, 3000, 42, SHA256.HashData("state"u8));
        await view.Device.WriteSlotAsync(0, slot.ToBytes(), Cancel);

        await view.Tools.RunAsync("tpm2_nvread", "0x01818A01", "-C", "0x01818A01", "-P", view.Auth, "-o", "slot");

        var bytes = await File.ReadAllBytesAsync(view.Tools.PathOf("slot"), Cancel);
        Assert.Equal("LSA1"u8.ToArray(), bytes[..4]);
        Assert.Equal((byte)2, bytes[5]);
        Assert.Equal(7ul, BinaryPrimitives.ReadUInt64BigEndian(bytes.AsSpan(8)));
        Assert.Equal(42ul, BinaryPrimitives.ReadUInt64BigEndian(bytes.AsSpan(40)));
        Assert.True(NvSlot.TryParse(bytes, out var parsed));
        Assert.Equal(slot, parsed);
    }

    [Fact]
    public async Task The_mirror_and_the_counter_read_the_same_from_outside()
    {
        await using var view = await ViewAsync();
        var mirror = new NvMirror(123456789, 17, SHA256.HashData("head"u8));
        await view.Device.WriteMirrorAsync(mirror.ToBytes(), Cancel);
        var counter = await view.Device.IncrementCounterAsync(Cancel);

        await view.Tools.RunAsync("tpm2_nvread", "0x01818A04", "-C", "0x01818A04", "-P", view.Auth, "-o", "mirror");
        await view.Tools.RunAsync("tpm2_nvread", "0x01818A02", "-C", "0x01818A02", "-P", view.Auth, "-o", "counter");

        Assert.Equal(mirror.ToBytes(), await File.ReadAllBytesAsync(view.Tools.PathOf("mirror"), Cancel));
        var bytes = await File.ReadAllBytesAsync(view.Tools.PathOf("counter"), Cancel);
        Assert.Equal(counter, BinaryPrimitives.ReadUInt64BigEndian(bytes));
    }

    [Fact]
    public async Task Neither_key_nor_memory_opens_without_the_auth_value()
    {
        await using var view = await ViewAsync();
        await File.WriteAllBytesAsync(view.Tools.PathOf("digest"), new byte[32], Cancel);

        var (readExit, _) = await view.Tools.TryAsync("tpm2_nvread", "0x01818A02", "-C", "0x01818A02");
        var (ownerExit, _) = await view.Tools.TryAsync("tpm2_nvread", "0x01818A02", "-C", "o");
        var (signExit, _) = await view.Tools.TryAsync(
            "tpm2_sign", "-c", "0x81018A01", "-g", "sha256", "-d", "-o", "signature", "digest");

        Assert.NotEqual(0, readExit);
        Assert.NotEqual(0, ownerExit);
        Assert.NotEqual(0, signExit);
    }

    [Fact]
    public async Task With_the_auth_value_the_key_signs_for_the_tools_as_well()
    {
        await using var view = await ViewAsync();
        var digest = RandomNumberGenerator.GetBytes(32);
        await File.WriteAllBytesAsync(view.Tools.PathOf("digest"), digest, Cancel);

        await view.Tools.RunAsync(
            "tpm2_sign", "-c", "0x81018A01", "-p", view.Auth, "-g", "sha256", "-d", "-f", "plain", "-o", "signature",
            "digest");

        var der = await File.ReadAllBytesAsync(view.Tools.PathOf("signature"), Cancel);
        using var key = ECDsa.Create(new ECParameters
        {
            Curve = ECCurve.NamedCurves.nistP256,
            Q = new ECPoint { X = view.Till.Identity.SigningX.ToArray(), Y = view.Till.Identity.SigningY.ToArray() },
        });
        Assert.True(key.VerifyHash(digest, der, DSASignatureFormat.Rfc3279DerSequence));
    }

    private async Task<View> ViewAsync()
    {
        var till = await seed.StartAsync();
        await till.DisconnectAsync();
        var proxy = TpmProxy.Start(till.Swtpm);
        var device = new TpmDevice(new TpmOptions(proxy.Device));
        await device.OpenAsync(till.Binding, Cancel);
        return new View(till, proxy, device);
    }

    /// <summary>Agent and tools side by side on one TPM.</summary>
    private sealed class View(TillTpm till, TpmProxy proxy, TpmDevice device) : IAsyncDisposable
    {
        public TillTpm Till { get; } = till;

        public TpmProxy Proxy { get; } = proxy;

        public TpmDevice Device { get; } = device;

        public TpmTools Tools { get; } = new(proxy.ToolsTcti);

        public string Auth { get; } = "hex:" + Convert.ToHexString(till.Binding.KeyAuth.Span);

        public async ValueTask DisposeAsync()
        {
            Tools.Dispose();
            await Device.DisposeAsync();
            await Proxy.DisposeAsync();
            await Till.DisposeAsync();
        }
    }
}
