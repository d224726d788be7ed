using System.Security.Cryptography;
using LicenseAgent.ContractTests.Tpm;
using LicenseAgent.Testbed.Tpm;
using LicenseAgent.Tpm;
using Xunit;

[assembly: AssemblyFixture(typeof(TpmSeed))]

namespace LicenseAgent.ContractTests.Tpm;

/// <summary>
/// One provisioning for all tests: each starts its own swtpm on a copy of this memory, in milliseconds.
/// </summary>
public sealed class TpmSeed : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("lsa-tpm-seed-").FullName;
    private readonly Lazy<Task<TpmBinding>> _binding;
    private TpmIdentity? _identity;

    public TpmSeed() => _binding = new Lazy<Task<TpmBinding>>(ProvisionAsync);

    /// <summary>An enrolled till's TPM, and a device that has opened it.</summary>
    internal async Task<TillTpm> StartAsync(
        SwtpmListen listen = SwtpmListen.Unix, Func<TpmOptions, TpmOptions>? options = null)
    {
        var cancel = TestContext.Current.CancellationToken;
        var binding = await _binding.Value;
        var swtpm = await SwtpmProcess.StartAsync(listen, cancel, _directory);
        var till = new TillTpm(swtpm, _identity!, binding, options);
        await till.Device.OpenAsync(binding, cancel);
        return till;
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private async Task<TpmBinding> ProvisionAsync()
    {
        var keyAuth = RandomNumberGenerator.GetBytes(32);
        await using var swtpm = await SwtpmProcess.StartAsync(SwtpmListen.Unix, CancellationToken.None);
        await using var device = new TpmDevice(new TpmOptions(swtpm.Device));
        _identity = await device.ProvisionAsync(keyAuth, null, false, CancellationToken.None);
        swtpm.SaveState(_directory);
        return _identity.Bind(keyAuth);
    }
}

/// <summary>A running swtpm with the agent's keys in it, and what was recorded about them.</summary>
internal sealed class TillTpm : IAsyncDisposable
{
    private readonly Func<TpmOptions, TpmOptions> _options;

    public TillTpm(
        SwtpmProcess swtpm, TpmIdentity identity, TpmBinding binding, Func<TpmOptions, TpmOptions>? options)
    {
        _options = options ?? (o => o);
        Swtpm = swtpm;
        Identity = identity;
        Binding = binding;
        Device = new TpmDevice(_options(new TpmOptions(swtpm.Device)));
    }

    public SwtpmProcess Swtpm { get; }

    public TpmIdentity Identity { get; }

    public TpmBinding Binding { get; }

    public TpmDevice Device { get; private set; }

    /// <summary>What the license server does to a secret.</summary>
    public byte[] Wrap(byte[] plaintext)
    {
        using var rsa = RSA.Create(
            new RSAParameters { Modulus = Identity.DecryptionModulus.ToArray(), Exponent = [1, 0, 1] });
        return rsa.Encrypt(plaintext, RSAEncryptionPadding.OaepSHA256);
    }

    public bool Verifies(byte[] digest, byte[] signature)
    {
        using var key = ECDsa.Create(new ECParameters
        {
            Curve = ECCurve.NamedCurves.nistP256,
            Q = new ECPoint { X = Identity.SigningX.ToArray(), Y = Identity.SigningY.ToArray() },
        });
        return key.VerifyHash(digest, signature);
    }

    /// <summary>Lets go of the connection; swtpm takes one client at a time and somebody else wants it.</summary>
    public ValueTask DisconnectAsync() => Device.DisposeAsync();

    public async ValueTask DisposeAsync()
    {
        await Device.DisposeAsync();
        await Swtpm.DisposeAsync();
    }
}
