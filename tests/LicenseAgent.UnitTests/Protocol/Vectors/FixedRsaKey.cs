using System.Numerics;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using LicenseAgent.Protocol.Jose;

namespace LicenseAgent.UnitTests.Protocol.Vectors;

/// <summary>
/// The decryption key of the vectors' agent, made for them and used nowhere else, and RSA-OAEP (RFC 8017 §7.1) with a
/// seed of one's choice: encryption that comes out the same every time.
/// </summary>
internal static class FixedRsaKey
{
    private const string Pkcs8 =
        "MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQDWjTm-UROn3mW17GDibnqgnwHgzFriDTNWkC-yJhEptbLB"
        + "Jz-gGIHTqCkNoEoEzZ3T2B8UgvhptN6SB4QLVy34k8wr_eFupop1MKSmCZrlbASeSktgjXLN5ZcV0mfwfZRsYNbA4Qh1a6Dr"
        + "D1BVr6HDh2MJd3ngUwN4lXoKyYplYHLX_uaur-sNS6X16YFY6V95gSoweG1D9DIUZu9Qm8jxs13_6JomCTHzDH8A_7F71KhR"
        + "4r5xKN2nK-UWL5HSsVvrT4DI-b8U7KWMNxXxrTGdVMDa9qEYk1kuyHtwqysn6LWYJJdwkbhbtB3dSg288gOvW1TwjOaOJSTk"
        + "ncWEV9YzAgMBAAECggEAYmnuYj-Tag2IDx5JxKOTqUi2llR2nbkbYuoJjsiKV90KDTKBK2ECcEFy71amjTR54FoCy6hV5Tr7"
        + "WvWKmp8XLa4x2b3_YX-QBDhXVfgS7oiRR8Bhefz3-70EBBT662PXKK105I10kVPYwOnJ2jwRUfywr393zq-VaIL8M6WFz4DK"
        + "izbYfPc6buBZOIxjOXwWt11vjItJW533QWdWjdpnG4C_ZHr4CxejR9iNbv22bpcq8ym4cWvL4EtqjYTtKB7v1R0S69eOpgKV"
        + "d6k8IQ7lNXixQuYmHoB8kEVcTtIuzu_k2JiVHcsbI4NrsO0szCGPB0dwXC-bqXjtxwlNGZq8wQKBgQD0cJ5o2RLq9hizrt3V"
        + "hljrQGzYiEODjy1cgPkYH_KmnAk1YG7k_FJWT2txNERSw_KQu6aLfoqKg6WY_ZttI5CkhciamD64EM-WV950lVEVV1Mfwv77"
        + "ZYVDSA9Za3F9ay2jTDMzXgwhwiVw5J0OZJnHapUxcXhPMzJzCqlAhxCNcwKBgQDgssGSIAcFBTplnyZg_7VhohmhHVb26BYa"
        + "-zyegtOT3E5hNYFKdWBVX66veSfmttj_MLhfUp_YuOdBjLW5YjdDN-QjoyrG7eTD8GejF10tShClIR5Sa-Dg40MaKKFQ1iYf"
        + "RDPeR83D4cnZyq_aRMSU4LIYaXRjOpmF2rq73dFkQQKBgAeb2dJ5r1URBAPT1aPn4qyv_LNgynk147uVaCuQEwWMpdy7e7g1"
        + "AnsdTcLgVaAd6VcIAE8nSTi2kFkKy-PBz6bPY0cspgckvtF3Or12SGfZqAS9FSLOLi_B9nhaF9ZHl8wVeyKGMup6GKBC_YCN"
        + "MRw7_Rjk51HPzio2kr4ndiRxAoGAdcA3gIQYKaFbwPVt_1cBjnCMTco6UJm_O9R9J_QXPF0vFfIcFxD7ssG5oWs0ZctcXB8D"
        + "_7Ak5EXBqrA6azP1EdywSZywRh9Uyvmo1ebghWNS5bY9VaQC7NcrywGPx_TxdWEgbVPjmMsyJFf7X7655er6aaCZxYZn_aVq"
        + "RhkwKgECgYAGOtbEYHJTthf6hRsOQUplothUjaCG9F89_2ahPHvOswvgI-n36gbUa5uZ8AXT_fUb7ou10b-gfafeUUAqpfE7"
        + "hDqgHRm8kYnzoip-QVFzNESphk7BP4MPb0zCVwRWTjPvxEK7U2aa0xleDRrZNxOTPIkOiKvfwpdVzdV0RQCd6Q";

    public static byte[] PrivateKey { get; } = JsonValue.Create(Pkcs8).Bytes();

    public static RsaPublicJwk Public { get; } = PublicHalf();

    public static RSA Open()
    {
        RSA rsa = RSA.Create();
        rsa.ImportPkcs8PrivateKey(PrivateKey, out _);
        return rsa;
    }

    public static byte[] Encrypt(ReadOnlySpan<byte> message, byte[] seed, HashAlgorithmName hash, string label = "")
    {
        byte[] labelHash = Hash(hash, System.Text.Encoding.ASCII.GetBytes(label));
        byte[] data = new byte[RsaPublicJwk.ModulusLength - labelHash.Length - 1];
        labelHash.CopyTo(data, 0);
        data[^(message.Length + 1)] = 1;
        message.CopyTo(data.AsSpan(data.Length - message.Length));
        byte[] fullSeed = Hash(hash, seed);
        Xor(data, Mask(hash, fullSeed, data.Length));
        Xor(fullSeed, Mask(hash, data, fullSeed.Length));
        var padded = new BigInteger([0, .. fullSeed, .. data], isUnsigned: true, isBigEndian: true);
        var modulus = new BigInteger(JsonValue.Create(Public.N).Bytes(), isUnsigned: true, isBigEndian: true);
        byte[] encrypted = BigInteger.ModPow(padded, 65537, modulus).ToByteArray(isUnsigned: true, isBigEndian: true);
        return [.. new byte[RsaPublicJwk.ModulusLength - encrypted.Length], .. encrypted];
    }

    /// <summary>MGF1 (RFC 8017 §B.2.1).</summary>
    private static byte[] Mask(HashAlgorithmName hash, byte[] seed, int length)
    {
        byte[] mask = [];
        for (byte i = 0; mask.Length < length; i++)
            mask = [.. mask, .. Hash(hash, [.. seed, 0, 0, 0, i])];
        return mask[..length];
    }

    private static void Xor(byte[] bytes, byte[] mask)
    {
        for (int i = 0; i < bytes.Length; i++)
            bytes[i] ^= mask[i];
    }

    private static byte[] Hash(HashAlgorithmName hash, byte[] data) => CryptographicOperations.HashData(hash, data);

    private static RsaPublicJwk PublicHalf()
    {
        using RSA rsa = Open();
        return RsaPublicJwk.FromModulus(rsa.ExportParameters(includePrivateParameters: false).Modulus);
    }
}
