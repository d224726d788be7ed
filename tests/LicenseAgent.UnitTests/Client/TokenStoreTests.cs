using LicenseAgent.Client;
using Xunit;

namespace LicenseAgent.UnitTests.Client;

public sealed class TokenStoreTests : IDisposable
{
    private readonly string _home = Directory.CreateTempSubdirectory("lsa-store-").FullName;

    private string Token => Path.Combine(_home, "license.token");

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_home, recursive: true);

    [Fact]
    public async Task A_missing_file_is_no_token() =>
        Assert.Null(await new FileLicenseTokenStore(Token).ReadAsync(Cancel));

    [Fact]
    public async Task An_empty_file_is_no_token()
    {
        File.WriteAllText(Token, "\n");
        Assert.Null(await new FileLicenseTokenStore(Token).ReadAsync(Cancel));
    }

    [Fact]
    public async Task A_token_is_read_without_its_newline()
    {
        File.WriteAllText(Token, "a.b\n");
        Assert.Equal("a.b", await new FileLicenseTokenStore(Token).ReadAsync(Cancel));
    }

    [Fact]
    public async Task A_file_too_large_for_a_token_is_an_error()
    {
        File.WriteAllText(Token, new string('x', 10_000));
        await Assert.ThrowsAsync<IOException>(async () => await new FileLicenseTokenStore(Token).ReadAsync(Cancel));
    }

    [Fact]
    public async Task The_presented_token_is_replaced_and_nothing_is_left_behind()
    {
        File.WriteAllText(Token, "old\n");
        await new FileLicenseTokenStore(Token).ReplaceAsync("old", "new", Cancel);
        Assert.Equal("new\n", File.ReadAllText(Token));
        Assert.Equal([Token], Directory.GetFiles(_home));
    }

    [Fact]
    public async Task A_token_stored_meanwhile_stays()
    {
        File.WriteAllText(Token, "newer\n");
        await new FileLicenseTokenStore(Token).ReplaceAsync("old", "new", Cancel);
        Assert.Equal("newer\n", File.ReadAllText(Token));
    }

    [Fact]
    public async Task Who_could_read_the_old_file_can_read_the_new_one()
    {
        const UnixFileMode shared = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead;
        File.WriteAllText(Token, "old\n");
        File.SetUnixFileMode(Token, shared);
        await new FileLicenseTokenStore(Token).ReplaceAsync("old", "new", Cancel);
        Assert.Equal(shared, File.GetUnixFileMode(Token));
    }

    [Fact]
    public async Task Leftovers_of_a_crash_are_no_obstacle()
    {
        File.WriteAllText(Token, "old\n");
        File.WriteAllText(Token + ".new", "half");
        await new FileLicenseTokenStore(Token).ReplaceAsync("old", "new", Cancel);
        Assert.Equal("new\n", File.ReadAllText(Token));
    }

    [Fact]
    public async Task A_token_in_memory_is_replaced_only_where_it_was_presented()
    {
        var store = new MemoryLicenseTokenStore("old");
        await store.ReplaceAsync("other", "new", Cancel);
        Assert.Equal("old", await store.ReadAsync(Cancel));
        await store.ReplaceAsync("old", "new", Cancel);
        Assert.Equal("new", store.Token);
    }
}
