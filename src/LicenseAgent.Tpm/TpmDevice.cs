using LicenseAgent.Tpm.Esys;

namespace LicenseAgent.Tpm;

/// <summary>
/// The TPM of this machine: two keys, a counter, two slots and a mirror, a clock, randomness. Calls may come from any
/// thread; they are done one after the other by one thread. It connects with the first call, and anew with the
/// first call after a failure. Failures are <see cref="TpmException"/>.
/// A cancellation token takes a call back while it waits; one that the TPM has runs to its end or its deadline.
/// </summary>
public sealed class TpmDevice : IAsyncDisposable
{
    private const int DigestSize = 32;
    private const int KeyAuthSize = 32;

    private readonly TpmWorker _worker;
    private TpmBinding? _binding;

    public TpmDevice(TpmOptions options)
        : this(options, encryptParameters: true)
    {
    }

    /// <summary>For the negative control of the bus tests: sessions that authorise and do not encrypt.</summary>
    internal TpmDevice(TpmOptions options, bool encryptParameters)
    {
        if (!TpmAddress.TryParse(options.Device, out var address, out var error)) throw new ArgumentException(error);
        RequirePersistent(options.SigningHandle, nameof(options.SigningHandle));
        RequirePersistent(options.DecryptionHandle, nameof(options.DecryptionHandle));
        if (options.SigningHandle == options.DecryptionHandle)
            throw new ArgumentException("the signing and the decryption key need different handles");
        _worker = new TpmWorker(stopping => TpmLink.Connect(address, options, encryptParameters, stopping));
    }

    /// <summary>
    /// Makes the storage root key, the two keys and the NV indices, or finds those that an earlier, perhaps
    /// interrupted, run with the same <paramref name="keyAuth"/> (32 bytes) made. Needs no binding.
    /// </summary>
    /// <param name="keyAuth">The auth value of keys and indices.</param>
    /// <param name="ownerAuth">The owner hierarchy's password, null where it has none.</param>
    /// <param name="replace">Evict what is at the handles and indices, whoever made it, and begin anew.</param>
    /// <param name="cancellationToken">See the class.</param>
    public Task<TpmIdentity> ProvisionAsync(
        ReadOnlyMemory<byte> keyAuth, string? ownerAuth, bool replace, CancellationToken cancellationToken)
    {
        if (keyAuth.Length != KeyAuthSize) throw new ArgumentException($"a key auth value has {KeyAuthSize} bytes");
        return _worker.Run(
            link =>
            {
                // Its many objects in the library's context are not worth closing one by one.
                link.Retire();
                return Provisioning.Run(link, keyAuth, ownerAuth, replace);
            },
            cancellationToken);
    }

    /// <summary>
    /// Checks that this is the TPM of the enrolment (Names, NV attributes, auth value) and reads what it remembers.
    /// The binding is kept: every later connection is held to it before anything else happens on it.
    /// </summary>
    public Task<TpmState> OpenAsync(TpmBinding binding, CancellationToken cancellationToken) => _worker.Run(
        link =>
        {
            link.Bound?.Close();
            link.Bound = null;
            link.Bound = BoundTpm.Verify(link, binding);
            var state = link.Bound.ReadState();
            _binding = binding;
            return state;
        },
        cancellationToken);

    /// <summary>ECDSA P-256 over a SHA-256 digest: r‖s, 64 bytes.</summary>
    public Task<byte[]> SignAsync(ReadOnlyMemory<byte> sha256Digest, CancellationToken cancellationToken)
    {
        if (sha256Digest.Length != DigestSize) throw new ArgumentException($"a SHA-256 digest has {DigestSize} bytes");
        return WithBinding(bound => bound.Sign(sha256Digest.Span), cancellationToken);
    }

    /// <summary>
    /// Opens an RSA-OAEP-SHA256 ciphertext into the caller's buffer, the only place where the plaintext is left, and
    /// returns its length. <see cref="TpmFailure.DecryptFailed"/> alone means that it can never be opened here.
    /// </summary>
    public Task<int> UnwrapAsync(
        ReadOnlyMemory<byte> ciphertext, Memory<byte> destination, CancellationToken cancellationToken) =>
        WithBinding(bound => bound.Unwrap(ciphertext.Span, destination.Span), cancellationToken);

    /// <summary>The 96 bytes of a slot as they are, torn ones included; null where it was never written.</summary>
    public Task<byte[]?> ReadSlotAsync(int parity, CancellationToken cancellationToken)
    {
        var index = NvLayout.SlotIndex(parity);
        return WithBinding(bound => bound.Read(index), cancellationToken);
    }

    public Task WriteSlotAsync(int parity, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
        WriteAsync(NvLayout.SlotIndex(parity), NvLayout.SlotSize, bytes, cancellationToken);

    /// <summary>The 64 bytes of the mirror as they are; null where it was never written.</summary>
    public Task<byte[]?> ReadMirrorAsync(CancellationToken cancellationToken) =>
        WithBinding(bound => bound.Read(NvLayout.MirrorIndex), cancellationToken);

    public Task WriteMirrorAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
        WriteAsync(NvLayout.MirrorIndex, NvLayout.MirrorSize, bytes, cancellationToken);

    public Task<ulong> ReadCounterAsync(CancellationToken cancellationToken) =>
        WithBinding(bound => bound.ReadCounter(), cancellationToken);

    /// <summary>
    /// Adds one and returns the value read back. After a failure it may have been added or not: read it and see.
    /// </summary>
    public Task<ulong> IncrementCounterAsync(CancellationToken cancellationToken) =>
        WithBinding(bound => bound.IncrementCounter(), cancellationToken);

    public Task<TpmClock> ReadClockAsync(CancellationToken cancellationToken) =>
        _worker.Run(TpmFacts.ReadClock, cancellationToken);

    /// <summary>Fills the buffer from the TPM's generator; the bytes cross the bus encrypted.</summary>
    public Task GetRandomAsync(Memory<byte> destination, CancellationToken cancellationToken) => WithBinding(
        bound =>
        {
            bound.GetRandom(destination.Span);
            return destination.Length;
        },
        cancellationToken);

    public Task<TpmProperties> ReadPropertiesAsync(CancellationToken cancellationToken) =>
        _worker.Run(TpmFacts.ReadProperties, cancellationToken);

    /// <summary>Transient objects and sessions in the TPM; none, unless another program is at work.</summary>
    public Task<IReadOnlyList<uint>> LoadedHandlesAsync(CancellationToken cancellationToken) =>
        _worker.Run(link => link.LoadedHandles(), cancellationToken);

    public ValueTask DisposeAsync() => _worker.DisposeAsync();

    private Task<int> WriteAsync(uint index, int size, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        if (bytes.Length != size) throw new ArgumentException($"the NV index 0x{index:x8} takes {size} bytes");
        return WithBinding(
            bound =>
            {
                bound.Write(index, bytes.Span);
                return size;
            },
            cancellationToken);
    }

    private Task<T> WithBinding<T>(Func<BoundTpm, T> work, CancellationToken cancellationToken) => _worker.Run(
        link =>
        {
            var binding = _binding
                ?? throw new InvalidOperationException("OpenAsync comes before the calls that need keys");
            link.Bound ??= BoundTpm.Verify(link, binding);
            return work(link.Bound);
        },
        cancellationToken);

    // TPM 2.0 part 2: persistent handles of the owner hierarchy; the rest belongs to the platform.
    private static void RequirePersistent(uint handle, string name)
    {
        if (handle is < 0x81000000 or > 0x817FFFFF or TpmOptions.SrkHandle)
            throw new ArgumentException($"{name} 0x{handle:x8} is no free persistent handle (0x81000000-0x817fffff)");
    }
}
