using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using LicenseAgent.ContractTests.Tpm;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Testbed.Tpm;
using LicenseAgent.Tpm;
using Xunit;

namespace LicenseAgent.IntegrationTests.EndToEnd;

/// <summary>What the tpm2-tools, another implementation, see beside the running daemon.</summary>
public sealed class TpmToolsTests(TpmToolsTests.WatchedTill watched) : IClassFixture<TpmToolsTests.WatchedTill>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private LiveTill Till => watched.Till;

    private TpmTools Tools => watched.Tools;

    [Theory]
    [InlineData("0x81018A01", "sign")]
    [InlineData("0x81018A02", "decrypt")]
    public async Task A_key_is_persistent_and_bound_to_this_TPM(string handle, string use)
    {
        string area = await Tools.RunAsync("tpm2_readpublic", "-c", handle);

        Assert.Contains(
            $"value: fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|{use}\n", area, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("0x81018A01")]
    [InlineData("0x81018A02")]
    public async Task A_key_cannot_be_duplicated(string handle)
    {
        await Tools.RunAsync("tpm2_startauthsession", "-S", "session.ctx", "--policy-session");
        await Tools.RunAsync("tpm2_policycommandcode", "-S", "session.ctx", "-L", "policy", "TPM2_CC_Duplicate");
        await Tools.RunAsync("tpm2_createprimary", "-C", "o", "-G", "ecc", "-c", "parent.ctx");
        int before = Till.Bus.Recording.Count(TpmCommand.Duplicate);

        (int exit, string said) = await Tools.TryAsync(
            "tpm2_duplicate", "-C", "parent.ctx", "-c", handle, "-G", "null", "-p", "session:session.ctx", "-r",
            "key.priv", "-s", "seed");
        await Tools.RunAsync("tpm2_flushcontext", "session.ctx");
        await Tools.RunAsync("tpm2_flushcontext", "-t");

        Assert.NotEqual(0, exit);
        Assert.Contains("Esys_Duplicate", said, StringComparison.Ordinal);
        List<TpmExchange> attempts =
            [.. Till.Bus.Recording.Exchanges.Where(e => e.Command == TpmCommand.Duplicate).Skip(before)];
        Assert.NotEmpty(attempts);

        // A header alone is a refusal; a duplicate would follow it.
        Assert.All(attempts, e => Assert.Equal(10, e.Response.Length));
    }

    [Fact]
    public async Task The_counter_moves_by_one_per_rotation()
    {
        ulong before = await CounterAsync();

        await RotateAsync();

        Assert.Equal(before + 1, await CounterAsync());
    }

    [Fact]
    public async Task The_slot_of_the_generation_names_the_state_file()
    {
        TillBooks books = await RotateAsync();
        uint index = NvLayout.SlotIndex((int)(books.Bound.Generation % 2));

        Assert.True(NvSlot.TryParse(await ReadNvAsync(index), out NvSlot? slot));

        Assert.Equal(SHA256.HashData(await File.ReadAllBytesAsync(StateFile, Cancel)), slot!.StateHash.ToArray());
        Assert.Equal((ulong)books.Bound.Generation, slot.Generation);
        Assert.Equal((NvSecretState.Active, (ulong)books.Active), (slot.State, slot.Version));
        Assert.Equal((ulong)books.Bound.Active!.ValidUntil.UnixMs, slot.ValidUntil);
        Assert.Equal((ulong)books.Bound.Active.GraceUntil.UnixMs, slot.GraceUntil);
        Assert.Equal(slot.Generation, await CounterAsync());
    }

    [Theory]
    [InlineData("handles-transient")]
    [InlineData("handles-loaded-session")]
    [InlineData("handles-saved-session")]
    public async Task Nothing_is_left_in_the_TPM_after_a_rotation(string what)
    {
        await RotateAsync();

        // What follows a rotation (check-in, mirror) may hold a session just now; one that leaked stays for ever.
        string last = "";
        await Eventually.GetAsync(
            async () => (last = (await Tools.RunAsync("tpm2_getcap", what)).Trim()).Length == 0 ? "none" : null,
            () => $"{what}: {last}", Cancel);
    }

    private string StateFile => Path.Combine(Till.Folder.State, "state.json");

    private async Task<TillBooks> RotateAsync()
    {
        Assert.Equal("rotated", (await Till.Operator.RotateAsync(Cancel)).Value.Outcome);
        return await Till.AgreementAsync();
    }

    private async Task<ulong> CounterAsync() =>
        BinaryPrimitives.ReadUInt64BigEndian(await ReadNvAsync(NvLayout.CounterIndex));

    private async Task<byte[]> ReadNvAsync(uint index)
    {
        string handle = "0x" + index.ToString("x8", CultureInfo.InvariantCulture);
        await Tools.RunAsync("tpm2_nvread", handle, "-C", handle, "-P", "hex:" + KeyAuth(), "-o", "nv");
        return await File.ReadAllBytesAsync(Tools.PathOf("nv"), Cancel);
    }

    private string KeyAuth()
    {
        using JsonDocument file = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Till.Folder.State, "agent.json")));
        Assert.True(Base64UrlText.TryDecode(file.RootElement.GetProperty("key_auth").GetString(), out byte[] auth));
        return Convert.ToHexStringLower(auth);
    }

    /// <summary>An enrolled till, and the tools on its bus.</summary>
    public sealed class WatchedTill : IAsyncLifetime
    {
        internal LiveTill Till { get; private set; } = null!;

        internal TpmTools Tools { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            Till = await LiveTill.StartEnrolledAsync(TestContext.Current.CancellationToken);
            Tools = new TpmTools(Till.Bus.ToolsTcti);
        }

        public async ValueTask DisposeAsync()
        {
            Tools?.Dispose();
            if (Till is not null)
            {
                await Till.DisposeAsync();
            }
        }
    }
}
