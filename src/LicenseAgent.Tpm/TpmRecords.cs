namespace LicenseAgent.Tpm;

/// <summary>Where the TPM is and which handles the agent's keys have there.</summary>
/// <param name="Device"><c>device:PATH</c>, <c>swtpm:host:port</c>, <c>swtpm:unix:PATH</c> or
/// <c>mssim:host:port</c>.</param>
public sealed record TpmOptions(
    string Device,
    uint SigningHandle = TpmOptions.DefaultSigningHandle,
    uint DecryptionHandle = TpmOptions.DefaultDecryptionHandle)
{
    public const uint DefaultSigningHandle = 0x81018A01;
    public const uint DefaultDecryptionHandle = 0x81018A02;

    /// <summary>Where TCG provisioning guidance puts the ECC or RSA storage root key.</summary>
    public const uint SrkHandle = 0x81000001;

    /// <summary>For one command, its retries included. Real TPMs take 50–600 ms; 10 s is a TPM in trouble.</summary>
    public TimeSpan CommandTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>For commands that make a key; RSA-2048 takes some TPMs more than a minute.</summary>
    public TimeSpan KeyGenerationTimeout { get; init; } = TimeSpan.FromMinutes(3);
}

/// <summary>What was recorded at enrolment and what every later start holds the TPM to.</summary>
/// <param name="KeyAuth">The auth value of both keys and of the NV indices.</param>
public sealed record TpmBinding(
    ReadOnlyMemory<byte> KeyAuth,
    ReadOnlyMemory<byte> SrkName,
    ReadOnlyMemory<byte> SigningName,
    ReadOnlyMemory<byte> DecryptionName)
{
    // The generated text would not print the bytes of a Memory either; this makes it a rule.
    public override string ToString() => nameof(TpmBinding);
}

/// <summary>
/// The public halves of the agent's keys and the TPM Names to record. Names begin with the name algorithm.
/// </summary>
/// <param name="SigningX">Affine x of the P-256 signing key, 32 bytes.</param>
/// <param name="SigningY">Affine y of the P-256 signing key, 32 bytes.</param>
/// <param name="DecryptionModulus">Modulus of the RSA-2048 decryption key, 256 bytes; its exponent is 65537.</param>
public sealed record TpmIdentity(
    ReadOnlyMemory<byte> SigningX,
    ReadOnlyMemory<byte> SigningY,
    ReadOnlyMemory<byte> DecryptionModulus,
    ReadOnlyMemory<byte> SrkName,
    ReadOnlyMemory<byte> SigningName,
    ReadOnlyMemory<byte> DecryptionName)
{
    public TpmBinding Bind(ReadOnlyMemory<byte> keyAuth) => new(keyAuth, SrkName, SigningName, DecryptionName);
}

/// <summary>What the TPM remembered when it was opened. A slot or mirror that was never written is null.</summary>
public sealed record TpmState(
    ulong Counter,
    byte[]? EvenSlot,
    byte[]? OddSlot,
    byte[]? Mirror,
    TpmClock Clock);

/// <summary>
/// TPM2_ReadClock. <see cref="ClockMs"/> may fall after a power cut; <see cref="Safe"/> says that it did not.
/// </summary>
public sealed record TpmClock(ulong ClockMs, uint ResetCount, uint RestartCount, bool Safe);

/// <summary>What <c>doctor</c> shows about the TPM.</summary>
public sealed record TpmProperties(
    string Manufacturer,
    string FirmwareVersion,
    bool OwnerAuthSet,
    bool InLockout,
    uint LockoutCounter,
    uint MaxAuthFail,
    TimeSpan LockoutInterval,
    TimeSpan LockoutRecovery);
