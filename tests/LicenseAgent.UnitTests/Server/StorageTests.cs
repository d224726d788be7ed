using LicenseAgent.Protocol.Encoding;
using LicenseAgent.UnitTests.Pki;
using LicenseServer.Keys;
using LicenseServer.Storage;
using Microsoft.Data.Sqlite;
using Xunit;

namespace LicenseAgent.UnitTests.Server;

public sealed class StorageTests : IDisposable
{
    private static readonly UtcTime Now = new(1_800_000_000_000);
    private readonly ScratchDirectory _scratch = new();

    private string Path => _scratch["server.db"];

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public async Task Writes_that_arrive_together_are_all_durable_and_a_failing_one_undoes_itself_alone()
    {
        await using (var database = new Database(Path))
        {
            // The first write holds the writer until all the others are queued: they form one group.
            using var queued = new ManualResetEventSlim();
            var first = database.WriteAsync(session =>
            {
                queued.Wait(TestContext.Current.CancellationToken);
                return AgentRows.Add(session, "first", Now);
            });
            var good = Enumerable.Range(0, 40).Select(i => database.WriteAsync(
                session => AgentRows.Add(session, $"pos-{i}", Now))).ToArray();
            var bad = database.WriteAsync<bool>(session =>
            {
                AgentRows.Add(session, "half-done", Now);
                throw new InvalidOperationException("planted");
            });
            queued.Set();
            Assert.True(await first);
            Assert.All(await Task.WhenAll(good), Assert.True);
            await Assert.ThrowsAsync<InvalidOperationException>(() => bad);
        }

        await using var reopened = new Database(Path);
        Assert.Equal(41, reopened.Read(AgentRows.Count).All);
        Assert.Null(reopened.Read(session => AgentRows.Find(session, "half-done")));
    }

    [Fact]
    public async Task A_full_queue_refuses_instead_of_growing()
    {
        await using var database = new Database(Path);
        using var go = new ManualResetEventSlim();
        var blocked = database.WriteAsync(session =>
        {
            go.Wait(TestContext.Current.CancellationToken);
            return true;
        });
        var writes = Enumerable.Range(0, 1200).Select(_ => database.WriteAsync(session => true)).ToArray();
        go.Set();
        Assert.True(await blocked);
        var refused = 0;
        foreach (var write in writes)
        {
            try
            {
                await write;
            }
            catch (WriteQueueFullException)
            {
                refused++;
            }
        }

        // At most one group is out of the queue, at least the blocked write may still be in it.
        Assert.InRange(refused, 1200 - 1024 - 63, 1200 - 1024 + 1);
    }

    [Fact]
    public async Task The_database_itself_refuses_a_second_ACTIVE()
    {
        await using var database = new Database(Path);
        var refused = database.WriteAsync(session =>
        {
            AgentRows.Add(session, "pos-001", Now);
            foreach (var version in (long[])[1, 2]) VersionRows.Put(session, "pos-001", Row(version), Now, null);
            return true;
        });
        await Assert.ThrowsAsync<SqliteException>(() => refused);
    }

    [Fact]
    public async Task A_database_of_a_newer_schema_is_refused_untouched()
    {
        await using (new Database(Path))
        {
        }

        using (var session = new SqlSession(Path, readOnly: false)) session.Script("PRAGMA user_version = 99");
        Assert.Throws<StorageException>(() => new Database(Path));
        using var after = new SqlSession(Path, readOnly: true);
        Assert.Equal(99, after.Number("PRAGMA user_version"));
    }

    [Fact]
    public void A_file_that_is_no_database_is_refused()
    {
        File.WriteAllText(Path, new string('x', 4096));
        Assert.Throws<StorageException>(() => new Database(Path));
    }

    [Fact]
    public async Task The_database_and_its_log_are_readable_by_their_owner_alone()
    {
        await using var database = new Database(Path);
        await database.WriteAsync(session => AgentRows.Add(session, "pos-001", Now));
        foreach (var file in (string[])[Path, Path + "-wal", Path + "-shm"])
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
    }

    [Theory]
    [InlineData("UPDATE audit SET line = replace(line, 'pos-3', 'pos-9') WHERE seq = 3", 3)]
    [InlineData("DELETE FROM audit WHERE seq = 3", 4)]
    [InlineData("UPDATE audit SET hash = zeroblob(32) WHERE seq = 3", 3)]
    [InlineData("DELETE FROM audit WHERE seq = 1", 2)]
    public async Task A_changed_audit_row_is_found(string damage, long found)
    {
        await using var database = new Database(Path);
        await database.WriteAsync(session =>
        {
            for (var i = 1; i <= 6; i++) AuditChain.Append(session, Now, "test", $"pos-{i}", "planted", ("number", i));
            return true;
        });
        Assert.Null(database.Read(session => AuditChain.FindBreak(session, 100)));
        Assert.Null(database.Read(session => AuditChain.FindBreak(session, 2)));
        await database.WriteAsync(session => session.Run(damage));
        Assert.Equal(found, database.Read(session => AuditChain.FindBreak(session, 100)));
    }

    [Fact]
    public void A_key_file_that_others_can_read_is_refused()
    {
        var path = _scratch["keys.json"];
        Assert.True(KeyFile.TryCreate(path, System.Security.Cryptography.RandomNumberGenerator.Fill));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        KeyFile.Read(path);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.GroupRead);
        Assert.Throws<KeyFileException>(() => KeyFile.Read(path));
    }

    [Fact]
    public void A_key_file_is_never_overwritten()
    {
        var path = _scratch["keys.json"];
        KeyFile.TryCreate(path, System.Security.Cryptography.RandomNumberGenerator.Fill);
        var before = File.ReadAllBytes(path);
        Assert.False(KeyFile.TryCreate(path, System.Security.Cryptography.RandomNumberGenerator.Fill));
        Assert.Equal(before, File.ReadAllBytes(path));
    }

    [Fact]
    public void The_secret_of_a_version_is_the_HKDF_of_its_base_key()
    {
        var baseKey = Enumerable.Range(0, 32).Select(i => (byte)i).ToArray();
        var path = _scratch["keys.json"];
        KeyFile.TryCreate(path, System.Security.Cryptography.RandomNumberGenerator.Fill);
        var file = KeyFile.Read(path) with { BaseKeys = [new BaseKeyEntry(1, Base64UrlText.Encode(baseKey))] };
        using var keys = new ServerKeys(file, path);
        var secret = new byte[32];
        keys.DeriveSecret("pos-001", 7, 1, secret);

        // openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt hexkey:000102…1f
        //   -kdfopt info:license-agent/secret/pos-001/7 HKDF
        Assert.Equal(OpenSslHkdf("license-agent/secret/pos-001/7", baseKey), Convert.ToHexString(secret));
    }

    private static string OpenSslHkdf(string info, byte[] key)
    {
        var start = new System.Diagnostics.ProcessStartInfo("openssl",
        [
            "kdf", "-keylen", "32", "-kdfopt", "digest:SHA256", "-kdfopt", "hexkey:" + Convert.ToHexString(key),
            "-kdfopt", "info:" + info, "HKDF",
        ])
        {
            RedirectStandardOutput = true,
        };
        using var process = System.Diagnostics.Process.Start(start)!;
        return process.StandardOutput.ReadToEnd().Trim().Replace(":", "", StringComparison.Ordinal);
    }

    private static VersionRow Row(long version) => new(
        version, 1, LicenseServer.Rules.VersionState.Active, default, Now, Now, Now);
}
