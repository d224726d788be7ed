using System.Collections.Concurrent;
using System.Threading.Channels;
using Microsoft.Data.Sqlite;

namespace LicenseServer.Storage;

/// <summary>The write queue is full: the caller sheds the request.</summary>
internal sealed class WriteQueueFullException() : Exception("the database's write queue is full");

/// <summary>
/// One writing connection on one thread, and a few reading ones. Writes that arrive together are committed together,
/// each in its own savepoint: one fsync serves them all, and one that fails undoes only itself. A write's task
/// completes after the commit that made it durable, never before.
/// </summary>
internal sealed class Database : IAsyncDisposable
{
    private const int QueueLength = 1024; // further writes are refused (WriteQueueFullException)
    private const int GroupLength = 64;
    private const int ReadersKept = 4; // further readers are opened for one use

    private readonly string _path;
    private readonly Channel<Write> _writes = Channel.CreateBounded<Write>(
        new BoundedChannelOptions(QueueLength) { SingleReader = true });
    private readonly ConcurrentBag<SqlSession> _readers = [];
    private readonly TaskCompletionSource _writerEnded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SqlSession _writer;

    public Database(string path)
    {
        _path = path;
        DatabaseFile.Prepare(path);
        _writer = new SqlSession(path, readOnly: false);
        _writer.Script("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;");
        new Thread(WriteLoop) { Name = "database-writer", IsBackground = true }.Start();
    }

    /// <summary>Runs <paramref name="work"/> in a transaction; when the task completes its changes are
    /// durable.</summary>
    /// <exception cref="WriteQueueFullException">Too many writes are waiting.</exception>
    public Task<T> WriteAsync<T>(Func<SqlSession, T> work)
    {
        var write = new Write<T>(work);
        return _writes.Writer.TryWrite(write) ? write.Task : Task.FromException<T>(new WriteQueueFullException());
    }

    /// <summary>Runs one read on the caller's thread; it sees everything whose write has completed.</summary>
    public T Read<T>(Func<SqlSession, T> work)
    {
        var session = _readers.TryTake(out var kept) ? kept : new SqlSession(_path, readOnly: true);
        try
        {
            return work(session);
        }
        finally
        {
            if (_readers.Count < ReadersKept) _readers.Add(session);
            else session.Dispose();
        }
    }

    /// <summary>Completes what is queued, then closes every connection.</summary>
    public async ValueTask DisposeAsync()
    {
        _writes.Writer.TryComplete();
        await _writerEnded.Task;
        while (_readers.TryTake(out var reader)) reader.Dispose();
        // Last, because only a connection that may write moves the log into the database when it closes.
        _writer.Dispose();
    }

    private void WriteLoop()
    {
        var group = new List<Write>(GroupLength);
        while (_writes.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult())
        {
            while (group.Count < GroupLength && _writes.Reader.TryRead(out var write)) group.Add(write);
            CommitGroup(group);
            group.Clear();
        }

        _writerEnded.SetResult();
    }

    private void CommitGroup(List<Write> group)
    {
        try
        {
            _writer.Script("BEGIN IMMEDIATE");
            foreach (var write in group) RunOne(write);
            _writer.Script("COMMIT");
        }
        catch (SqliteException error)
        {
            RollBack();
            foreach (var write in group) write.Fail(error);
            return;
        }

        foreach (var write in group) write.Complete();
    }

    // The task root of one write: whatever it throws is its caller's, and undoes nobody else's work.
    private void RunOne(Write write)
    {
        _writer.Script("SAVEPOINT one");
        try
        {
            write.Run(_writer);
        }
        catch (Exception error)
        {
            write.Fail(error);
            _writer.Script("ROLLBACK TO one");
        }

        _writer.Script("RELEASE one");
    }

    private void RollBack()
    {
        try
        {
            _writer.Script("ROLLBACK");
        }
        catch (SqliteException)
        {
            // SQLite has rolled back by itself (disk full, I/O error); the group has failed either way.
        }
    }

    private abstract class Write
    {
        public abstract void Run(SqlSession session);

        public abstract void Complete();

        public abstract void Fail(Exception error);
    }

    private sealed class Write<T>(Func<SqlSession, T> work) : Write
    {
        private readonly TaskCompletionSource<T> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private T? _result;

        public Task<T> Task => _done.Task;

        public override void Run(SqlSession session) => _result = work(session);

        // A write that has failed already stays failed.
        public override void Complete() => _done.TrySetResult(_result!);

        public override void Fail(Exception error) => _done.TrySetException(error);
    }
}
