using LicenseAgent.ContractTests.Contracts;
using LicenseAgent.Daemon.Adapters.Files;
using LicenseAgent.Daemon.Ports;
using Xunit;

namespace LicenseAgent.ContractTests.Files;

/// <summary>The contract on the real file system; strace makes its calls fail.</summary>
public sealed class StateFilesContractTests : StateFilesContract, IDisposable
{
    private readonly ScratchState _scratch = new();
    private readonly StateFiles _files;

    public StateFilesContractTests() => _files = _scratch.Open();

    private protected override IStateFiles Files => _files;

    public void Dispose()
    {
        _files.Dispose();
        _scratch.Dispose();
    }

    private protected override void Put(string name, byte[] content) => File.WriteAllBytes(_scratch[name], content);

    private protected override string[] Names() => [.. _scratch.Names().Where(n => File.Exists(_scratch[n]))];

    private protected override async Task<string> FailAsync(string call, DiskFault fault)
    {
        string expression = fault switch
        {
            DiskFault.Read => "read:error=EIO:when=1",
            DiskFault.Full => "write:error=ENOSPC:when=1",
            DiskFault.Entry => $"{(call == "erase" ? "unlinkat" : "renameat")}:error=EIO",
            DiskFault.ContentSync => "fsync:error=EIO:when=1",
            _ => $"fsync:error=EIO:when={(call == "rename" ? 1 : 2)}",
        };
        return (await _scratch.Traced(call).RunAsync("inject=" + expression)).Outcome;
    }
}
