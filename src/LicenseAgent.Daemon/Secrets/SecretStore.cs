using System.Collections.Immutable;
using LicenseAgent.Core;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.Upstream;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Protocol.Tokens;

namespace LicenseAgent.Daemon.Secrets;

/// <summary>The keys derived from one secret; the secret itself is not kept.</summary>
internal sealed record HeldSecret(long Version, string Kid, SecretBytes TokenKey, SecretBytes PopKey) : IDisposable
{
    public void Dispose()
    {
        TokenKey.Dispose();
        PopKey.Dispose();
    }
}

/// <summary>RSA-OAEP-256 by the key that secrets are wrapped to: the TPM's, or the software one.</summary>
/// <returns>Bytes written, or -1 when the ciphertext is definitely not for this key.</returns>
internal delegate Task<int> Unwrap(ReadOnlyMemory<byte> cipher, Memory<byte> plain, CancellationToken cancel);

/// <summary>A secret can definitely not be used; the reason is one of <see cref="RejectReasons"/>.</summary>
internal sealed class UnusableSecretException(string reason, string message)
    : EnvironmentException(reason, message, retryable: false, null);

/// <summary>
/// Secret files and the keys in memory. Runs on the loop's thread. A secret enters only through a signed PREPARE
/// answer that is checked at every load (signature, agent, version, key check value): whoever can write the disk could
/// otherwise choose it.
/// </summary>
internal sealed class SecretStore(
    IStateFiles files, Unwrap unwrap, SecretMemory memory, TrustedServer server) : IDisposable
{
    private readonly Dictionary<long, HeldSecret> _held = [];
    private TrustedServer _server = server;

    public HeldSecret? Find(long version) => _held.GetValueOrDefault(version);

    /// <summary>Whose signature files need from now on; what is held stays.</summary>
    public void Trust(TrustedServer server) => _server = server;

    public static string FileOf(long version) => $"secrets/v{version}.jws";

    /// <summary>
    /// Writes the answer durably, unwraps, checks, then opens a second time from what is on disk; only then the
    /// version is held.
    /// </summary>
    /// <exception cref="UnusableSecretException">It never will be.</exception>
    public async Task<Digest32> StageAsync(
        RotateSecretAnswer answer, ReadOnlyMemory<byte> raw, CancellationToken cancel)
    {
        (await OpenAsync(answer, RejectReasons.UnwrapFailed, cancel)).Dispose();
        await files.ReplaceAsync(FileOf(answer.SecretVersion), raw, cancel);
        byte[] written = await files.ReadAsync(FileOf(answer.SecretVersion), cancel) ?? throw new StorageException(
            "secret_file_missing", $"{FileOf(answer.SecretVersion)} is not there after it was written.");
        RotateSecretAnswer stored = ReadStored(written, answer.SecretVersion, isBound: false)
            ?? throw new UnusableSecretException(
                RejectReasons.ReopenFailed, "The secret file does not verify after it was written.");
        Hold(await OpenAsync(stored, RejectReasons.ReopenFailed, cancel));
        return Digest32.Sha256(written);
    }

    /// <summary>Opens a secret the state names.</summary>
    /// <returns>False when its file is missing, another one, or does not open: it never will.</returns>
    public async Task<bool> LoadAsync(SecretEntry entry, CancellationToken cancel)
    {
        byte[]? file = await files.ReadAsync(FileOf(entry.Version), cancel);
        if (file is null || Digest32.Sha256(file) != entry.FileSha256
            || ReadStored(file, entry.Version, isBound: entry.State != SecretState.Pending) is not { } stored
            || stored.Kcv != entry.Kcv)
        {
            return false;
        }

        try
        {
            Hold(await OpenAsync(stored, RejectReasons.UnwrapFailed, cancel));
            return true;
        }
        catch (UnusableSecretException)
        {
            return false;
        }
    }

    /// <summary>Files of earlier versions, for a state that is being repaired: those that verify and open.</summary>
    public async Task<ImmutableArray<SecretEntry>> LoadPreviousAsync(
        ImmutableArray<PreviousVersion> versions, UtcTime now, CancellationToken cancel)
    {
        List<SecretEntry> entries = [];
        foreach (PreviousVersion previous in versions)
        {
            byte[]? file = await files.ReadAsync(FileOf(previous.Version), cancel);
            if (file is not null && ReadStored(file, previous.Version, isBound: false) is { } stored)
            {
                SecretEntry entry = new(
                    previous.Version, SecretState.Grace, stored.Kcv, Digest32.Sha256(file), now,
                    stored.ValidFrom, stored.ValidUntil, previous.GraceUntil);
                if (await LoadAsync(entry, cancel))
                {
                    entries.Add(entry);
                }
            }
        }

        return [.. entries];
    }

    /// <summary>Proof of possession of a staged version for one attempt.</summary>
    public Digest32 ConfirmProof(long version, string agentId, Nonce16 nonce)
    {
        HeldSecret held = Find(version) ?? throw new InvariantBroken($"I08: v{version} is confirmed and not held.");
        using SecretLease pop = held.PopKey.Open();
        return SecretKeys.ConfirmProof(pop.Bytes, agentId, version, nonce);
    }

    /// <summary>Forgets a version: memory, then file.</summary>
    public async Task EraseAsync(long version, CancellationToken cancel)
    {
        if (_held.Remove(version, out HeldSecret? held))
        {
            held.Dispose();
        }

        await files.EraseAsync(FileOf(version), cancel);
    }

    public void Dispose()
    {
        foreach (HeldSecret held in _held.Values)
        {
            held.Dispose();
        }

        _held.Clear();
    }

    private void Hold(HeldSecret secret)
    {
        if (_held.Remove(secret.Version, out HeldSecret? before))
        {
            before.Dispose();
        }

        _held[secret.Version] = secret;
    }

    private RotateSecretAnswer? ReadStored(ReadOnlySpan<byte> file, long version, bool isBound)
    {
        try
        {
            RotateSecretAnswer stored = _server.ReadStored(file, isBound);
            return stored.SecretVersion == version ? stored : null;
        }
        catch (NoContactException)
        {
            // Not a signed answer: the file is damaged or somebody else's, and the caller says so.
            return null;
        }
    }

    private async Task<HeldSecret> OpenAsync(RotateSecretAnswer answer, string onFailure, CancellationToken cancel)
    {
        ParsedSecretJwe jwe = Parse(answer, onFailure);
        using SecretLease cek = memory.Scratch();
        if (!await UnwrapAsync(jwe.EncryptedKey.ToArray(), cek, cancel))
        {
            throw new UnusableSecretException(onFailure, $"The key cannot unwrap version {answer.SecretVersion}.");
        }

        using SecretLease secret = memory.Scratch();
        if (!SecretJwe.Open(jwe, cek.Bytes, secret.Bytes))
        {
            throw new UnusableSecretException(onFailure, $"Version {answer.SecretVersion} does not decrypt.");
        }

        return SecretKeys.Kcv(secret.Bytes) == answer.Kcv
            ? Derive(answer.SecretVersion, jwe.Kid, secret.Bytes)
            : throw new UnusableSecretException(
                RejectReasons.KcvMismatch, $"Version {answer.SecretVersion} is not the secret the server named.");
    }

    private static ParsedSecretJwe Parse(RotateSecretAnswer answer, string onFailure)
    {
        try
        {
            ParsedSecretJwe jwe = SecretJwe.Parse(System.Text.Encoding.ASCII.GetBytes(answer.NewSecretEncrypted));
            return jwe.Version == answer.SecretVersion && jwe.AgentId == answer.AgentId
                ? jwe
                : throw new UnusableSecretException(onFailure, $"The wrapped secret is {jwe.Kid}, not this version.");
        }
        catch (ProtocolException e)
        {
            throw new UnusableSecretException(onFailure, $"The wrapped secret is malformed: {e.Message}.");
        }
    }

    private async Task<bool> UnwrapAsync(byte[] encryptedKey, SecretLease cek, CancellationToken cancel)
    {
        // The TPM writes into pinned memory outside the collector's reach; a lease is a span and cannot cross an await.
        using PinnedSecret plain = new(SecretMemory.SecretLength);
        int length = await unwrap(encryptedKey, plain.Memory, cancel);
        if (length != SecretMemory.SecretLength)
        {
            return false;
        }

        plain.Memory.Span.CopyTo(cek.Bytes);
        return true;
    }

    private HeldSecret Derive(long version, string kid, ReadOnlySpan<byte> secret)
    {
        using SecretLease key = memory.Scratch();
        SecretKeys.TokenContentKey(secret, kid, key.Bytes);
        SecretBytes token = memory.Keep(key.Bytes);
        SecretKeys.PopKey(secret, key.Bytes);
        return new HeldSecret(version, kid, token, memory.Keep(key.Bytes));
    }
}
