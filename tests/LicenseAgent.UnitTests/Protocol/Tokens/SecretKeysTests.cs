using System.Security.Cryptography;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Tokens;
using Xunit;

namespace LicenseAgent.UnitTests.Protocol.Tokens;

public sealed class SecretKeysTests
{
    private static readonly byte[] Secret = [.. Enumerable.Range(0, 32).Select(i => (byte)i)];

    [Fact]
    public void The_plain_hkdf_of_this_test_is_the_one_of_RFC_5869_A_3() =>
        Assert.Equal(
            "8DA4E775A563C18F715F802A063C5A31B8A11F5C5EE1879EC3454E5F3C738D2D9D201395FAA4B61A96C8",
            Convert.ToHexString(PlainHkdf([.. Enumerable.Repeat((byte)0x0B, 22)], "", 42)));

    [Fact]
    public void Every_key_is_the_hkdf_of_the_secret_and_its_label()
    {
        byte[] content = new byte[32], pop = new byte[32], kcv = new byte[8];
        SecretKeys.TokenContentKey(Secret, "pos-001.v7", content);
        SecretKeys.PopKey(Secret, pop);
        SecretKeys.Kcv(Secret).CopyTo(kcv);
        Assert.Equal(PlainHkdf(Secret, "license-agent/token/A256GCM/pos-001.v7", 32), content);
        Assert.Equal(PlainHkdf(Secret, "license-agent/pop", 32), pop);
        Assert.Equal(PlainHkdf(Secret, "license-agent/kcv", 8), kcv);
    }

    [Fact]
    public void The_proof_is_a_mac_over_agent_version_and_nonce_as_text()
    {
        byte[] pop = new byte[32], mac = new byte[32];
        SecretKeys.PopKey(Secret, pop);
        Nonce16 nonce = Nonce16.From(Secret.AsSpan(0, 16));
        SecretKeys.ConfirmProof(pop, "pos-001", 7, nonce).CopyTo(mac);
        Assert.Equal(HMACSHA256.HashData(pop, "confirm|pos-001|7|AAECAwQFBgcICQoLDA0ODw"u8.ToArray()), mac);
    }

    [Fact]
    public void Keys_are_of_the_right_length_and_kid_or_not_at_all()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => SecretKeys.PopKey(new byte[31], new byte[32]));
        Assert.Throws<ArgumentOutOfRangeException>(() => SecretKeys.PopKey(Secret, new byte[31]));
        Assert.Throws<ArgumentOutOfRangeException>(() => SecretKeys.Kcv(new byte[33]));
        Assert.Throws<ProtocolException>(() => SecretKeys.TokenContentKey(Secret, "pos-001", new byte[32]));
    }

    /// <summary>RFC 5869 §2 written down with HMAC alone.</summary>
    private static byte[] PlainHkdf(byte[] ikm, string info, int length)
    {
        byte[] prk = HMACSHA256.HashData(new byte[32], ikm), output = [], block = [];
        for (byte i = 1; output.Length < length; i++)
        {
            byte[] input = [.. block, .. System.Text.Encoding.ASCII.GetBytes(info), i];
            block = HMACSHA256.HashData(prk, input);
            output = [.. output, .. block];
        }
        return output[..length];
    }
}
