using System.Security.Cryptography;
using FsCheck;
using FsCheck.Fluent;
using LicenseAgent.Tpm;
using Xunit;

namespace LicenseAgent.UnitTests.Tpm;

public sealed class NvSlotTests
{
    // Fixed here byte by byte, so that a till of today reads what it wrote yesterday.
    private const string KnownSlot =
        "4c53413101020000" + "0000000000000007" + "00000000000003e8" + "00000000000007d0" + "0000000000000bb8"
        + "000000000000002a" + "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    private static readonly NvSlot s_known = new(
        NvSecretState.Active, 7, 1000, 2000, 3000, 42, Enumerable.Range(0, 32).Select(i => (byte)i).ToArray());

    [Fact]
    public void The_known_slot_has_the_known_bytes_and_their_checksum()
    {
        var head = Convert.FromHexString(KnownSlot);
        byte[] expected = [.. head, .. SHA256.HashData(head)[..16]];

        Assert.Equal(expected, s_known.ToBytes());
        Assert.True(NvSlot.TryParse(expected, out var parsed));
        Assert.Equal(s_known, parsed);
    }

    [Fact]
    public void Every_slot_reads_back() => Prop.ForAll<ulong, ulong, byte[]>(
        (version, time, seed) =>
        {
            var slot = new NvSlot(
                (NvSecretState)(version % 5), version, time, ulong.MaxValue - time, time / 2, version ^ time,
                SHA256.HashData(seed));
            return NvSlot.TryParse(slot.ToBytes(), out var parsed) && slot.Equals(parsed);
        }).Check(Config.QuickThrowOnFailure.WithReplay(1, 3));

    [Fact]
    public void No_flipped_bit_goes_unnoticed()
    {
        var bytes = s_known.ToBytes();
        for (var bit = 0; bit < bytes.Length * 8; bit++)
        {
            var flipped = bytes.ToArray();
            flipped[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.False(NvSlot.TryParse(flipped, out var parsed));
            Assert.Null(parsed);
        }
    }

    [Fact]
    public void A_write_torn_anywhere_between_two_slots_is_neither()
    {
        var old = s_known.ToBytes();
        var fresh = (s_known with { Version = 8, Generation = 44, StateHash = SHA256.HashData("new"u8) }).ToBytes();
        var firstDifference = old.Zip(fresh).TakeWhile(p => p.First == p.Second).Count();
        for (var cut = firstDifference + 1; cut < old.Length; cut++)
        {
            byte[] torn = [.. fresh[..cut], .. old[cut..]];
            Assert.False(NvSlot.TryParse(torn, out _));
        }
    }

    [Theory]
    [InlineData(0, 0x4D)]
    [InlineData(4, 0)]
    [InlineData(4, 2)]
    [InlineData(5, 5)]
    [InlineData(6, 1)]
    [InlineData(7, 1)]
    public void A_right_checksum_does_not_excuse_an_unknown_format(int offset, byte value)
    {
        var bytes = s_known.ToBytes();
        bytes[offset] = value;
        SHA256.HashData(bytes.AsSpan(0, 80)).AsSpan(0, 16).CopyTo(bytes.AsSpan(80));

        Assert.False(NvSlot.TryParse(bytes, out _));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(15)]
    [InlineData(16)]
    [InlineData(95)]
    [InlineData(97)]
    [InlineData(4096)]
    public void Another_length_is_no_slot(int length) => Assert.False(NvSlot.TryParse(new byte[length], out _));

    [Fact]
    public void Random_bytes_are_no_slot() => Prop.ForAll<byte[]>(
        bytes =>
        {
            var padded = new byte[96];
            bytes.AsSpan(0, Math.Min(bytes.Length, 96)).CopyTo(padded);
            return !NvSlot.TryParse(padded, out _) && !NvSlot.TryParse(bytes, out _);
        }).Check(Config.QuickThrowOnFailure.WithReplay(5, 7));

    [Fact]
    public void A_hash_of_another_length_or_an_unknown_state_is_a_mistake_of_the_writer()
    {
        Assert.Throws<InvalidOperationException>(() => (s_known with { StateHash = new byte[31] }).ToBytes());
        Assert.Throws<InvalidOperationException>(() => (s_known with { State = (NvSecretState)5 }).ToBytes());
    }

    [Fact]
    public void Generations_alternate_between_the_two_slots()
    {
        Assert.Equal(0x01818A01u, NvLayout.SlotIndex(0));
        Assert.Equal(0x01818A03u, NvLayout.SlotIndex(1));
        Assert.Throws<ArgumentOutOfRangeException>(() => NvLayout.SlotIndex(2));
    }
}
