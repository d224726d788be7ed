using LicenseAgent.Daemon.Ports;
using LicenseAgent.Sim.Kernel;

namespace LicenseAgent.Sim.World;

/// <summary>The agent's port onto its state directory: one call after the other.</summary>
internal sealed class StateFilesPort(Life life, SimDisk disk, SimRandom chance) : IStateFiles
{
    private long _freeAtUs;

    public Task<byte[]?> ReadAsync(string name, CancellationToken cancel) =>
        life.Call("disk.read", Took(100), () => disk.Read(name));

    public Task WriteAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancel) =>
        life.Call("disk.write", Took(3_000), disk.Write(name, content.ToArray()));

    public Task ReplaceAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancel) =>
        life.Call("disk.replace", Took(5_000), disk.Replace(name, content.ToArray()));

    public Task RenameAsync(string from, string to, CancellationToken cancel) =>
        life.Call("disk.rename", Took(2_000), disk.Rename(from, to));

    public Task EraseAsync(string name, CancellationToken cancel) =>
        life.Call("disk.erase", Took(4_000), disk.Erase(name));

    /// <summary>The one thread that makes these calls may still be busy with the one before.</summary>
    private long Took(long meanUs)
    {
        long now = life.Loop.NowUs;
        _freeAtUs = Math.Max(now, _freeAtUs) + (meanUs / 2) + chance.Exponential(meanUs / 2) + disk.Troubles.StallUs;
        return _freeAtUs - now;
    }
}

/// <summary>The agent's port onto its audit log.</summary>
internal sealed class AuditFilePort(Life life, SimAudit audit, DiskTroubles troubles, SimRandom chance) : IAuditFile
{
    private long _freeAtUs;

    public IReadOnlyList<AuditSegment> Segments()
    {
        life.Enter("audit.segments");
        IReadOnlyList<AuditSegment> segments = audit.Segments();
        life.Leave();
        return segments;
    }

    public int Read(string segment, long offset, Span<byte> into)
    {
        life.Enter("audit.read");
        int count = audit.Read(segment, offset, into);
        life.Leave();
        return count;
    }

    public void Append(ReadOnlySpan<byte> lines)
    {
        life.Enter("audit.append");
        audit.Append(lines, chance);
        life.Leave();
    }

    public Task SyncAsync()
    {
        int covers = audit.Newest.Length;
        return life.Call("audit.sync", Took(4_000), Step(() => audit.Sync(covers)));
    }

    public Task CutAsync(long length, bool rewrite) =>
        life.Call("audit.cut", Took(6_000), Step(() => audit.Cut((int)length, rewrite)));

    public Task CloseAsync(string name) => life.Call("audit.close", Took(6_000), Step(() => audit.Close(name)));

    public Task MoveAsync(string name, string? to) =>
        life.Call("audit.move", Took(6_000), Step(() => audit.Move(name, to)));

    private static Effect<bool> Step(Func<bool> step) => new([() => step()], () => true);

    private long Took(long meanUs)
    {
        long now = life.Loop.NowUs;
        _freeAtUs = Math.Max(now, _freeAtUs) + (meanUs / 2) + chance.Exponential(meanUs / 2) + troubles.StallUs;
        return _freeAtUs - now;
    }
}

/// <summary>The small ports: boot clock, chance of the operating system, work items.</summary>
internal sealed class SmallPorts(Life life, SimBoot boot, SimRandom chance) : IBootClock, IRandomness, IWorkItems
{
    public string BootId => boot.Id;

    public long BootMs
    {
        get
        {
            life.Loop.AssertThread();
            return boot.BootUs / 1_000;
        }
    }

    public long AwakeMs
    {
        get
        {
            life.Loop.AssertThread();
            return boot.MonotonicUs / 1_000;
        }
    }

    public void Fill(Span<byte> destination)
    {
        life.Loop.AssertThread();
        chance.Fill(destination);
    }

    public void Queue(Action work) => life.Context.Post(_ => work(), null);
}
