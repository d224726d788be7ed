using System.Security.Cryptography;
using System.Text.Json;
using LicenseAgent.Daemon.Adapters.Files;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.ContractTests.Files;

/// <summary>The software keys on a real disk.</summary>
public sealed class FallbackKeysTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("lsa-fallback-").FullName;
    private readonly StateFiles _files;
    private readonly string _keyFile;

    public FallbackKeysTests()
    {
        _files = new StateFiles(Path.Combine(_root, "state"));
        _keyFile = Path.Combine(_root, "key");
        File.WriteAllBytes(_keyFile, RandomNumberGenerator.GetBytes(32));
    }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private string Storage => Path.Combine(_root, "state", "secret.enc");

    [Fact]
    public async Task What_was_made_is_opened_again()
    {
        using FallbackKeys first = Keys();
        AgentKeyPair made = await first.OpenAsync("pos-001", anew: false, Cancel);
        using FallbackKeys second = Keys();
        Assert.Equal(made, await second.OpenAsync("pos-001", anew: false, Cancel));
        byte[] signature = await second.SignAsync(SHA256.HashData([1]), Cancel);
        Assert.True(Es256.Verify(made.Signing, [1], signature));
    }

    [Fact]
    public async Task The_storage_has_the_form_that_was_agreed()
    {
        using FallbackKeys keys = Keys();
        await keys.OpenAsync("pos-001", anew: false, Cancel);
        using JsonDocument storage = JsonDocument.Parse(await File.ReadAllBytesAsync(Storage, Cancel));
        Assert.Equal(
            ["format", "salt", "iterations", "iv", "ct", "tag"],
            storage.RootElement.EnumerateObject().Select(member => member.Name));
        Assert.Equal(600_000, storage.RootElement.GetProperty("iterations").GetInt32());
    }

    [Fact]
    public async Task Another_key_file_opens_nothing()
    {
        using FallbackKeys keys = Keys();
        await keys.OpenAsync("pos-001", anew: false, Cancel);
        await File.WriteAllBytesAsync(_keyFile, RandomNumberGenerator.GetBytes(32), Cancel);
        await RefusedAsync(keys, "pos-001");
    }

    [Fact]
    public async Task A_copied_disk_without_the_key_file_opens_nothing()
    {
        using FallbackKeys keys = Keys();
        await keys.OpenAsync("pos-001", anew: false, Cancel);
        File.Delete(_keyFile);
        await RefusedAsync(keys, "pos-001");
    }

    [Fact]
    public async Task The_storage_of_another_agent_opens_nothing()
    {
        using FallbackKeys keys = Keys();
        await keys.OpenAsync("pos-001", anew: false, Cancel);
        await RefusedAsync(keys, "pos-002");
    }

    [Fact]
    public async Task A_flipped_bit_is_found()
    {
        using FallbackKeys keys = Keys();
        await keys.OpenAsync("pos-001", anew: false, Cancel);
        string text = await File.ReadAllTextAsync(Storage, Cancel);
        int at = text.IndexOf("\"ct\":\"", StringComparison.Ordinal) + 10;
        await File.WriteAllTextAsync(
            Storage, text[..at] + (text[at] == 'A' ? 'B' : 'A') + text[(at + 1)..], Cancel);
        await RefusedAsync(keys, "pos-001");
    }

    [Fact]
    public async Task Anew_are_other_keys()
    {
        using FallbackKeys keys = Keys();
        AgentKeyPair first = await keys.OpenAsync("pos-001", anew: false, Cancel);
        Assert.NotEqual(first, await keys.OpenAsync("pos-001", anew: true, Cancel));
    }

    [Fact]
    public async Task A_ciphertext_for_another_key_is_not_opened()
    {
        using FallbackKeys keys = Keys();
        await keys.OpenAsync("pos-001", anew: false, Cancel);
        using RSA other = RSA.Create(2048);
        byte[] cipher = other.Encrypt([1, 2, 3], RSAEncryptionPadding.OaepSHA256);
        Assert.Equal(-1, await keys.UnwrapAsync(cipher, new byte[32], Cancel));
    }

    public void Dispose()
    {
        _files.Dispose();
        Directory.Delete(_root, recursive: true);
    }

    private static async Task RefusedAsync(FallbackKeys keys, string agentId)
    {
        StorageException e = await Assert.ThrowsAsync<StorageException>(
            () => keys.OpenAsync(agentId, anew: false, Cancel));
        Assert.Equal("fallback_unusable", e.Reason);
    }

    private FallbackKeys Keys() => new(_files, "secret.enc", _keyFile);
}
