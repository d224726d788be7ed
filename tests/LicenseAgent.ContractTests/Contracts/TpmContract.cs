using System.Security.Cryptography;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Tpm;
using Xunit;

namespace LicenseAgent.ContractTests.Contracts;

/// <summary>What ails a TPM while it is on.</summary>
public enum TpmAilment
{
    None,

    /// <summary>It says to every use of a key or a counter that it is locked out.</summary>
    Lockout,

    /// <summary>It takes commands and gives no answer.</summary>
    Hung,
}

/// <summary>A TPM behind the agent's ports, and what people and power do to it.</summary>
internal abstract class TpmBench : IAsyncDisposable
{
    public abstract ITpmKeys Keys { get; }

    public abstract ITpmMemory Memory { get; }

    public abstract ITpmClock Clock { get; }

    public abstract bool Verifies(EcPublicJwk key, byte[] digest, byte[] signature);

    /// <summary>A secret as the server wraps it.</summary>
    public abstract string Wrap(RsaPublicJwk key, byte[] secret);

    /// <summary>Without goodbye; it is on again when the call returns.</summary>
    public abstract Task PowerCutAsync();

    /// <summary>A copy of all it stores, to be put back by the call that it answers.</summary>
    public abstract Task<Func<Task>> SnapshotAsync();

    /// <summary>TPM2_Clear.</summary>
    public abstract Task ClearAsync();

    /// <summary>Another chip, new from the factory, takes its place.</summary>
    public abstract Task ReplaceAsync();

    /// <summary>It is not there until <see cref="ReturnAsync"/>.</summary>
    public abstract Task RemoveAsync();

    public abstract Task ReturnAsync();

    /// <summary>From now on; of one that was started to be ill.</summary>
    public abstract Task AilAsync(TpmAilment what);

    /// <summary>
    /// The power goes while a slot is written, before the TPM has begun or when it has done it; it is on again when the call
    /// returns. Of one that was started to be ill.
    /// </summary>
    public abstract Task CutAtSlotAsync(int parity, NvSlot slot, bool written);

    /// <summary>A slot that was written is torn: so many bytes of the next, the rest as it was.</summary>
    public abstract Task TearSlotAsync(int parity, NvSlot was, NvSlot next, int bytes, byte[] auth);

    public abstract ValueTask DisposeAsync();
}

/// <summary>What the agent relies on of its TPM: swtpm and the simulated one keep it alike.</summary>
public abstract class TpmContract
{
    private static readonly byte[] s_digest = SHA256.HashData("something"u8);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Provisioning_again_under_the_same_auth_value_changes_nothing_unless_it_begins_anew()
    {
        await using TpmBench tpm = await StartAsync();
        byte[] auth = NewAuth();
        TpmBirth first = await tpm.Keys.ProvisionAsync(auth, null, replace: false, Cancel);
        await tpm.Keys.OpenAsync(first.Anchor, Cancel);
        long counter = await tpm.Memory.IncrementCounterAsync(Cancel);

        TpmBirth again = await tpm.Keys.ProvisionAsync(auth, null, replace: false, Cancel);

        Assert.Equal(Of(first), Of(again));
        await tpm.Keys.OpenAsync(again.Anchor, Cancel);
        Assert.Equal(counter, await tpm.Memory.ReadCounterAsync(Cancel));
        TpmBirth anew = await tpm.Keys.ProvisionAsync(auth, null, replace: true, Cancel);
        Assert.NotEqual(Of(first), Of(anew));
        await tpm.Keys.OpenAsync(anew.Anchor, Cancel);
        Assert.True(await tpm.Memory.ReadCounterAsync(Cancel) > counter);
    }

    [Fact]
    public async Task Keys_of_another_enrolment_are_taken_over_only_when_asked_and_nothing_of_it_stays()
    {
        await using TpmBench tpm = await StartAsync();
        TpmBirth old = await ProvisionAsync(tpm);
        long highest = await tpm.Memory.IncrementCounterAsync(Cancel);
        await tpm.Memory.WriteSlotAsync(1, Slot(1), Cancel);
        await tpm.Clock.WriteMirrorAsync(Mirror(7), Cancel);
        byte[] auth = NewAuth();
        Assert.Equal(TpmTrouble.Replaced, await TroubleAsync(
            () => tpm.Keys.ProvisionAsync(auth, null, replace: false, Cancel)));
        await tpm.Keys.OpenAsync(old.Anchor, Cancel);

        TpmBirth next = await tpm.Keys.ProvisionAsync(auth, null, replace: true, Cancel);

        await tpm.Keys.OpenAsync(next.Anchor, Cancel);
        Assert.Equal(old.Anchor.SrkName, next.Anchor.SrkName);
        Assert.NotEqual(old.Anchor.SigningName, next.Anchor.SigningName);
        Assert.NotEqual(old.Anchor.DecryptionName, next.Anchor.DecryptionName);
        Assert.True(await tpm.Memory.ReadCounterAsync(Cancel) > highest);
        Assert.Null(await tpm.Memory.ReadSlotAsync(1, Cancel));
        Assert.Null(await tpm.Clock.ReadMirrorAsync(Cancel));
        Assert.Equal(TpmTrouble.Replaced, await TroubleAsync(() => tpm.Keys.OpenAsync(old.Anchor, Cancel)));
    }

    [Fact]
    public async Task A_signature_verifies_under_the_signing_key_alone()
    {
        await using TpmBench tpm = await StartAsync();
        TpmBirth birth = await ProvisionAsync(tpm);
        byte[] signature = await tpm.Keys.SignAsync(s_digest, Cancel);
        Assert.Equal(Es256.SignatureLength, signature.Length);
        Assert.True(tpm.Verifies(birth.Signing, s_digest, signature));
        Assert.False(tpm.Verifies(birth.Signing, SHA256.HashData("something else"u8), signature));
    }

    [Fact]
    public async Task What_is_wrapped_for_its_key_is_unwrapped_and_nothing_else_is()
    {
        await using TpmBench tpm = await StartAsync();
        TpmBirth old = await ProvisionAsync(tpm);
        byte[] secret = NewAuth();
        string foreign = tpm.Wrap(old.Decryption, secret);
        TpmBirth birth = await ProvisionAsync(tpm, replace: true);

        Assert.Equal(secret, await OpenAsync(tpm, tpm.Wrap(birth.Decryption, secret)));
        Assert.Null(await OpenAsync(tpm, foreign));
        Assert.Equal(-1, await tpm.Keys.UnwrapAsync(new byte[256], new byte[32], Cancel));
    }

    [Fact]
    public async Task The_counter_goes_up_by_one_and_keeps_it_through_power_cuts()
    {
        await using TpmBench tpm = await StartAsync();
        TpmBirth birth = await ProvisionAsync(tpm);
        long counter = await tpm.Memory.ReadCounterAsync(Cancel);
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(++counter, await tpm.Memory.IncrementCounterAsync(Cancel));
            await tpm.PowerCutAsync();
            await tpm.Keys.OpenAsync(birth.Anchor, Cancel);
            Assert.Equal(counter, await tpm.Memory.ReadCounterAsync(Cancel));
        }
    }

    [Fact]
    public async Task Slots_and_mirror_are_empty_at_first_and_keep_what_was_written()
    {
        await using TpmBench tpm = await StartAsync();
        TpmBirth birth = await ProvisionAsync(tpm);
        Assert.Null(await tpm.Memory.ReadSlotAsync(0, Cancel));
        Assert.Null(await tpm.Memory.ReadSlotAsync(1, Cancel));
        Assert.Null(await tpm.Clock.ReadMirrorAsync(Cancel));
        await tpm.Memory.WriteSlotAsync(0, Slot(4), Cancel);
        await tpm.Memory.WriteSlotAsync(1, Slot(3), Cancel);
        await tpm.Memory.WriteSlotAsync(1, Slot(5), Cancel);
        await tpm.Clock.WriteMirrorAsync(Mirror(9), Cancel);

        await tpm.PowerCutAsync();

        await tpm.Keys.OpenAsync(birth.Anchor, Cancel);
        Assert.Equal(Slot(4).ToBytes(), (await tpm.Memory.ReadSlotAsync(0, Cancel))!.ToBytes());
        Assert.Equal(Slot(5).ToBytes(), (await tpm.Memory.ReadSlotAsync(1, Cancel))!.ToBytes());
        Assert.Equal(Mirror(9).ToBytes(), (await tpm.Clock.ReadMirrorAsync(Cancel))!.ToBytes());
    }

    [Fact]
    public async Task Its_clock_does_not_go_ahead_at_a_power_cut_and_the_reset_count_does()
    {
        await using TpmBench tpm = await StartAsync();
        TpmBirth birth = await ProvisionAsync(tpm);
        TpmClockReading before = await tpm.Clock.ReadClockAsync(Cancel);
        TpmClockReading again = await tpm.Clock.ReadClockAsync(Cancel);
        Assert.True(again.ClockMs >= before.ClockMs);
        Assert.Equal((before.ResetCount, before.RestartCount), (again.ResetCount, again.RestartCount));

        await tpm.PowerCutAsync();

        await tpm.Keys.OpenAsync(birth.Anchor, Cancel);
        TpmClockReading after = await tpm.Clock.ReadClockAsync(Cancel);
        Assert.Equal(before.ResetCount + 1, after.ResetCount);
        Assert.InRange(after.ClockMs, 0, again.ClockMs + 60_000);
    }

    [Fact]
    public async Task A_memory_put_back_has_its_old_counter_and_slots_and_opens()
    {
        await using TpmBench tpm = await StartAsync();
        TpmBirth birth = await ProvisionAsync(tpm);
        long counter = await tpm.Memory.ReadCounterAsync(Cancel);
        await tpm.Memory.WriteSlotAsync(0, Slot(4), Cancel);
        Func<Task> putBack = await tpm.SnapshotAsync();
        await tpm.Keys.OpenAsync(birth.Anchor, Cancel);
        await tpm.Memory.IncrementCounterAsync(Cancel);
        await tpm.Memory.WriteSlotAsync(0, Slot(6), Cancel);

        await putBack();

        await tpm.Keys.OpenAsync(birth.Anchor, Cancel);
        Assert.Equal(counter, await tpm.Memory.ReadCounterAsync(Cancel));
        Assert.Equal(4ul, (await tpm.Memory.ReadSlotAsync(0, Cancel))!.Generation);
    }

    [Fact]
    public async Task A_cleared_TPM_is_another_one_that_remembers_how_far_its_counters_came()
    {
        await using TpmBench tpm = await StartAsync();
        TpmBirth birth = await ProvisionAsync(tpm);
        long highest = await tpm.Memory.IncrementCounterAsync(Cancel);
        await tpm.Memory.WriteSlotAsync(0, Slot(4), Cancel);

        await tpm.ClearAsync();

        Assert.Equal(TpmTrouble.Replaced, await TroubleAsync(() => tpm.Keys.OpenAsync(birth.Anchor, Cancel)));
        TpmBirth next = await ProvisionAsync(tpm);
        Assert.NotEqual(birth.Anchor.SrkName, next.Anchor.SrkName);
        Assert.True(await tpm.Memory.ReadCounterAsync(Cancel) > highest);
        Assert.Null(await tpm.Memory.ReadSlotAsync(0, Cancel));
    }

    [Fact]
    public async Task Another_chip_is_refused_and_can_be_provisioned()
    {
        await using TpmBench tpm = await StartAsync();
        TpmBirth birth = await ProvisionAsync(tpm);
        await tpm.ReplaceAsync();
        Assert.Equal(TpmTrouble.Replaced, await TroubleAsync(() => tpm.Keys.OpenAsync(birth.Anchor, Cancel)));
        TpmBirth next = await ProvisionAsync(tpm);
        Assert.True(tpm.Verifies(next.Signing, s_digest, await tpm.Keys.SignAsync(s_digest, Cancel)));
    }

    [Fact]
    public async Task A_wrong_auth_value_is_another_enrolment_and_costs_no_lockout()
    {
        await using TpmBench tpm = await StartAsync();
        TpmBirth birth = await ProvisionAsync(tpm);
        TpmAnchor wrong = birth.Anchor with { KeyAuth = NewAuth() };
        Assert.Equal(TpmTrouble.Replaced, await TroubleAsync(() => tpm.Keys.OpenAsync(wrong, Cancel)));
        Assert.Equal(0, (await tpm.Keys.OpenAsync(birth.Anchor, Cancel)).LockoutCounter);
    }

    [Fact]
    public async Task A_TPM_that_is_away_is_unavailable_and_the_same_when_it_is_back()
    {
        await using TpmBench tpm = await StartAsync();
        TpmBirth birth = await ProvisionAsync(tpm);
        long counter = await tpm.Memory.ReadCounterAsync(Cancel);
        await tpm.RemoveAsync();
        Assert.Equal(TpmTrouble.Unavailable, await TroubleAsync(() => tpm.Keys.SignAsync(s_digest, Cancel)));
        Assert.Equal(TpmTrouble.Unavailable, await TroubleAsync(() => tpm.Keys.OpenAsync(birth.Anchor, Cancel)));

        await tpm.ReturnAsync();

        await tpm.Keys.OpenAsync(birth.Anchor, Cancel);
        Assert.Equal(counter, await tpm.Memory.ReadCounterAsync(Cancel));
    }

    [Fact]
    public async Task A_TPM_in_lockout_says_so_and_has_forgotten_nothing_when_it_is_over()
    {
        await using TpmBench tpm = await StartAsync(ill: true);
        TpmBirth birth = await ProvisionAsync(tpm);
        long counter = await tpm.Memory.ReadCounterAsync(Cancel);
        await tpm.AilAsync(TpmAilment.Lockout);
        Assert.Equal(TpmTrouble.Lockout, await TroubleAsync(() => tpm.Keys.SignAsync(s_digest, Cancel)));
        Assert.Equal(TpmTrouble.Lockout, await TroubleAsync(
            () => tpm.Keys.UnwrapAsync(new byte[256], new byte[32], Cancel)));
        Assert.Equal(TpmTrouble.Lockout, await TroubleAsync(() => tpm.Memory.IncrementCounterAsync(Cancel)));

        await tpm.AilAsync(TpmAilment.None);

        await tpm.Keys.OpenAsync(birth.Anchor, Cancel);
        Assert.Equal(counter, await tpm.Memory.ReadCounterAsync(Cancel));
        Assert.True(tpm.Verifies(birth.Signing, s_digest, await tpm.Keys.SignAsync(s_digest, Cancel)));
    }

    [Fact]
    public async Task A_command_without_an_answer_is_given_up_and_may_have_been_done_or_not()
    {
        await using TpmBench tpm = await StartAsync(ill: true);
        TpmBirth birth = await ProvisionAsync(tpm);
        long counter = await tpm.Memory.ReadCounterAsync(Cancel);
        await tpm.AilAsync(TpmAilment.Hung);
        Assert.Equal(TpmTrouble.Unavailable, await TroubleAsync(() => tpm.Memory.IncrementCounterAsync(Cancel)));

        await tpm.AilAsync(TpmAilment.None);

        await tpm.Keys.OpenAsync(birth.Anchor, Cancel);
        Assert.InRange(await tpm.Memory.ReadCounterAsync(Cancel), counter, counter + 1);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_power_cut_while_a_slot_is_written_leaves_the_old_one_the_new_one_or_none_and_the_other_alone(
        bool written)
    {
        await using TpmBench tpm = await StartAsync(ill: true);
        TpmBirth birth = await ProvisionAsync(tpm);
        await tpm.Memory.WriteSlotAsync(0, Slot(4), Cancel);
        await tpm.Memory.WriteSlotAsync(1, Slot(5), Cancel);

        await tpm.CutAtSlotAsync(0, Slot(6), written);

        await tpm.Keys.OpenAsync(birth.Anchor, Cancel);
        ulong? left = (await tpm.Memory.ReadSlotAsync(0, Cancel))?.Generation;
        Assert.True(written ? left == 6 : left is null or 4 or 6, $"generation {left}");
        Assert.Equal(5ul, (await tpm.Memory.ReadSlotAsync(1, Cancel))!.Generation);
        await tpm.Memory.WriteSlotAsync(0, Slot(8), Cancel);
        Assert.Equal(8ul, (await tpm.Memory.ReadSlotAsync(0, Cancel))!.Generation);
    }

    [Theory]
    [InlineData(47)]
    [InlineData(60)]
    [InlineData(95)]
    public async Task A_torn_slot_is_none_and_the_other_is_as_it_was(int bytes)
    {
        await using TpmBench tpm = await StartAsync(ill: true);
        TpmBirth birth = await ProvisionAsync(tpm);
        await tpm.Memory.WriteSlotAsync(0, Slot(4), Cancel);
        await tpm.Memory.WriteSlotAsync(1, Slot(5), Cancel);

        // The generation is in bytes 40 to 47 and the checksum ends with byte 95.
        await tpm.TearSlotAsync(0, Slot(4), Slot(260), bytes, birth.Anchor.KeyAuth.ToArray());

        Assert.Null(await tpm.Memory.ReadSlotAsync(0, Cancel));
        Assert.Equal(Slot(5).ToBytes(), (await tpm.Memory.ReadSlotAsync(1, Cancel))!.ToBytes());
    }

    [Fact]
    public async Task Randomness_fills_what_it_is_asked_to()
    {
        await using TpmBench tpm = await StartAsync();
        await ProvisionAsync(tpm);
        byte[] one = new byte[48];
        byte[] two = new byte[48];
        await tpm.Clock.GetRandomAsync(one, Cancel);
        await tpm.Clock.GetRandomAsync(two, Cancel);
        Assert.NotEqual(one, two);
        Assert.NotEqual(new byte[16], one[32..]);
    }

    /// <summary>A new one, on.</summary>
    /// <param name="ill">It is to be ill, or be disturbed at a command, later.</param>
    private protected abstract Task<TpmBench> StartAsync(bool ill = false);

    private static byte[] NewAuth() => RandomNumberGenerator.GetBytes(32);

    private static NvSlot Slot(ulong generation) =>
        new(NvSecretState.Active, 7, 1_000, 2_000, 3_000, generation, SHA256.HashData("state"u8));

    private static NvMirror Mirror(ulong seq) => new(4_000, seq, SHA256.HashData("head"u8));

    private static (string, string, EcPublicJwk, RsaPublicJwk) Of(TpmBirth birth) =>
        (birth.Anchor.SigningName, birth.Anchor.DecryptionName, birth.Signing, birth.Decryption);

    private static async Task<TpmBirth> ProvisionAsync(TpmBench tpm, bool replace = false)
    {
        TpmBirth birth = await tpm.Keys.ProvisionAsync(NewAuth(), null, replace, Cancel);
        await tpm.Keys.OpenAsync(birth.Anchor, Cancel);
        return birth;
    }

    private static async Task<byte[]?> OpenAsync(TpmBench tpm, string jwe)
    {
        byte[] token = System.Text.Encoding.ASCII.GetBytes(jwe);
        byte[] contentKey = new byte[32];
        byte[] cipher = SecretJwe.Parse(token).EncryptedKey.ToArray();
        if (await tpm.Keys.UnwrapAsync(cipher, contentKey, Cancel) != 32)
            return null;
        byte[] secret = new byte[32];
        return SecretJwe.Open(SecretJwe.Parse(token), contentKey, secret) ? secret : null;
    }

    private static async Task<TpmTrouble> TroubleAsync<T>(Func<Task<T>> call) =>
        (await Assert.ThrowsAsync<TpmUnavailableException>(call)).Trouble;
}
