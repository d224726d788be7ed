using LicenseAgent.ContractTests.Contracts;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Sim.World;

namespace LicenseAgent.SimTests.World;

/// <summary>The simulated disk is held to what the real file system is held to.</summary>
public sealed class SimDiskContractTests : StateFilesContract
{
    private readonly SimDisk _disk = new();
    private IStateFiles? _files;

    // Made by the test's own thread, which is the loop's then.
    private protected override IStateFiles Files => _files ??= new BenchFiles(_disk);

    private protected override void Put(string name, byte[] content) => _disk.Put(name, content);

    private protected override string[] Names() => [.. _disk.Names.Order(StringComparer.Ordinal)];

    private protected override async Task<string> FailAsync(string call, DiskFault fault)
    {
        byte[] content = "the new content"u8.ToArray();
        (Func<Task> made, string[] steps) = call switch
        {
            "write" => ((Func<Task>)(() => Files.WriteAsync("state.json.new", content, default)),
                (string[])["write", "fsync", "directory"]),
            "replace" => (() => Files.ReplaceAsync("state.json", content, default),
                ["write", "fsync", "entry", "directory"]),
            "rename" => (() => Files.RenameAsync("state.json.bak", "state.json", default), ["entry", "directory"]),
            "read" => (() => Files.ReadAsync("state.json", default), []),
            _ => (() => Files.EraseAsync("state.json", default), ["write", "fsync", "entry", "directory"]),
        };
        string failing = fault switch
        {
            DiskFault.ContentSync => "fsync",
            DiskFault.Entry => "entry",
            DiskFault.DirectorySync => "directory",
            _ => "write",
        };
        if (fault == DiskFault.Full)
        {
            _disk.Troubles.FullAtWrite.Arm(0, 1);
        }
        else if (fault == DiskFault.Read)
        {
            _disk.Troubles.FailReads = true;
        }
        else
        {
            _disk.Troubles.FailAtStep.Arm(0, Array.IndexOf(steps, failing) + 1);
        }

        try
        {
            await made();
            return "done";
        }
        catch (StorageException e)
        {
            return e.Reason;
        }
        finally
        {
            _disk.Troubles.FailReads = false;
        }
    }

    private sealed class BenchFiles(SimDisk disk) : IStateFiles
    {
        private readonly PortBench _bench = new();
        private StateFilesPort? _port;

        private StateFilesPort Port => _port ??= new StateFilesPort(_bench.Life, disk, _bench.Chance);

        public Task<byte[]?> ReadAsync(string name, CancellationToken cancel) =>
            _bench.Settle(Port.ReadAsync(name, cancel));

        public Task WriteAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancel) =>
            _bench.Settle(Port.WriteAsync(name, content, cancel));

        public Task ReplaceAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancel) =>
            _bench.Settle(Port.ReplaceAsync(name, content, cancel));

        public Task RenameAsync(string from, string to, CancellationToken cancel) =>
            _bench.Settle(Port.RenameAsync(from, to, cancel));

        public Task EraseAsync(string name, CancellationToken cancel) => _bench.Settle(Port.EraseAsync(name, cancel));
    }
}

/// <summary>The simulated files of the audit log are held to what the real ones are held to.</summary>
public sealed class SimAuditContractTests : AuditFileContract
{
    private IAuditFile? _file;

    private protected override IAuditFile File => _file ??= new BenchAudit();

    private sealed class BenchAudit : IAuditFile
    {
        private readonly PortBench _bench = new();
        private readonly AuditFilePort _port;

        public BenchAudit()
        {
            DiskTroubles troubles = new();
            _port = new AuditFilePort(_bench.Life, new SimAudit(troubles), troubles, _bench.Chance);
        }

        public IReadOnlyList<AuditSegment> Segments() => _port.Segments();

        public int Read(string segment, long offset, Span<byte> into) => _port.Read(segment, offset, into);

        public void Append(ReadOnlySpan<byte> lines) => _port.Append(lines);

        public Task SyncAsync() => _bench.Settle(_port.SyncAsync());

        public Task CutAsync(long length, bool rewrite) => _bench.Settle(_port.CutAsync(length, rewrite));

        public Task CloseAsync(string name) => _bench.Settle(_port.CloseAsync(name));

        public Task MoveAsync(string name, string? to) => _bench.Settle(_port.MoveAsync(name, to));
    }
}
