using System.Buffers;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using LicenseAgent.Tpm;
using Xunit;

namespace LicenseAgent.ContractTests.Tpm;

/// <summary>Where the bytes of an opened secret are, and are not, in the process that opened it.</summary>
public sealed class TpmMemoryTests(TpmSeed seed)
{
    private const int SecretSize = 32;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_opened_secret_is_in_the_callers_buffer_and_nowhere_else()
    {
        await using var till = await seed.StartAsync();
        using var tools = new TpmTools("");
        var wrapped = await WrapElsewhereAsync(till, tools);
        using var destination = new NativeBuffer(SecretSize);

        for (var i = 0; i < 3; i++)
            Assert.Equal(SecretSize, await till.Device.UnwrapAsync(wrapped, destination.Memory, Cancel));

        // Pinned: a collection in between would leave an unmasked copy of an ordinary array.
        var masked = GC.AllocateArray<byte>(SecretSize, pinned: true);
        destination.Memory.Span.CopyTo(masked);
        CheckAndMask(masked, tools.PathOf("secret"));
        Assert.Equal([destination.Address], ProcessMemory.Find(masked.AsSpan(0, 16)));
        Assert.Equal([destination.Address + 16], ProcessMemory.Find(masked.AsSpan(16, 16)));
    }

    // Another process makes and wraps the secret, so that only the TPM's answer brings it here.
    private static async Task<byte[]> WrapElsewhereAsync(TillTpm till, TpmTools tools)
    {
        using var rsa = RSA.Create(
            new RSAParameters { Modulus = till.Identity.DecryptionModulus.ToArray(), Exponent = [1, 0, 1] });
        await File.WriteAllTextAsync(tools.PathOf("public.pem"), rsa.ExportSubjectPublicKeyInfoPem(), Cancel);
        await tools.RunAsync("openssl", "rand", "-out", "secret", $"{SecretSize}");
        await tools.RunAsync(
            "openssl", "pkeyutl", "-encrypt", "-pubin", "-inkey", "public.pem", "-in", "secret", "-out", "wrapped",
            "-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256", "-pkeyopt", "rsa_mgf1_md:sha256");
        return await File.ReadAllBytesAsync(tools.PathOf("wrapped"), Cancel);
    }

    // The array was made by this test and is masked at once; what the file gives is masked before it is compared.
    private static void CheckAndMask(byte[] opened, string secretPath)
    {
        ProcessMemory.ApplyMask(opened);
        using var file = File.OpenHandle(secretPath);
        Span<byte> expected = stackalloc byte[SecretSize];
        Assert.Equal(SecretSize, RandomAccess.Read(file, expected, 0));
        ProcessMemory.ApplyMask(expected);
        Assert.True(expected.SequenceEqual(opened));
    }

    /// <summary>A buffer that the garbage collector neither moves nor copies.</summary>
    private sealed unsafe class NativeBuffer(int size) : MemoryManager<byte>
    {
        private readonly byte* _start = (byte*)NativeMemory.AllocZeroed((nuint)size);

        public nuint Address => (nuint)_start;

        public override Span<byte> GetSpan() => new(_start, size);

        public override MemoryHandle Pin(int elementIndex = 0) => new(_start + elementIndex);

        public override void Unpin()
        {
        }

        protected override void Dispose(bool disposing)
        {
            GetSpan().Clear();
            NativeMemory.Free(_start);
        }
    }
}
