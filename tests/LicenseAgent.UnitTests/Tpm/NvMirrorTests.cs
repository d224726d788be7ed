using System.Security.Cryptography;
using FsCheck;
using FsCheck.Fluent;
using LicenseAgent.Tpm;
using Xunit;

namespace LicenseAgent.UnitTests.Tpm;

public sealed class NvMirrorTests
{
    private static readonly NvMirror s_known =
        new(0x0102030405060708, 17, Enumerable.Range(0, 32).Select(i => (byte)i).ToArray());

    [Fact]
    public void The_known_mirror_has_the_known_bytes_and_their_checksum()
    {
        var head = Convert.FromHexString(
            "0102030405060708" + "0000000000000011"
            + "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
        byte[] expected = [.. head, .. SHA256.HashData(head)[..16]];

        Assert.Equal(expected, s_known.ToBytes());
        Assert.True(NvMirror.TryParse(expected, out var parsed));
        Assert.Equal(s_known, parsed);
    }

    [Fact]
    public void Every_mirror_reads_back() => Prop.ForAll<ulong, ulong, byte[]>(
        (highWater, seq, seed) =>
        {
            var mirror = new NvMirror(highWater, seq, SHA256.HashData(seed));
            return NvMirror.TryParse(mirror.ToBytes(), out var parsed) && mirror.Equals(parsed);
        }).Check(Config.QuickThrowOnFailure.WithReplay(1, 3));

    [Fact]
    public void No_flipped_bit_goes_unnoticed()
    {
        var bytes = s_known.ToBytes();
        for (var bit = 0; bit < bytes.Length * 8; bit++)
        {
            var flipped = bytes.ToArray();
            flipped[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.False(NvMirror.TryParse(flipped, out var parsed));
            Assert.Null(parsed);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(16)]
    [InlineData(63)]
    [InlineData(65)]
    [InlineData(96)]
    public void Another_length_is_no_mirror(int length) => Assert.False(NvMirror.TryParse(new byte[length], out _));

    [Fact]
    public void A_mirror_of_ones_or_zeros_is_none()
    {
        var ones = new byte[64];
        Array.Fill(ones, (byte)0xFF);

        Assert.False(NvMirror.TryParse(ones, out _));
        Assert.False(NvMirror.TryParse(new byte[64], out _));
    }

    [Fact]
    public void A_head_of_another_length_is_a_mistake_of_the_writer() =>
        Assert.Throws<InvalidOperationException>(() => (s_known with { AuditHead = new byte[33] }).ToBytes());
}
