using LicenseAgent.ContractTests.Contracts;
using LicenseAgent.Daemon.Adapters.Files;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.UnitTests.Daemon.Audit;

namespace LicenseAgent.ContractTests.Audit;

public sealed class SimulatedAuditFileTests : AuditFileContract
{
    private protected override IAuditFile File { get; } = new DiskOfAudit();
}

public sealed class RealAuditFileTests : AuditFileContract, IDisposable
{
    private readonly ScratchLogs _scratch = new();
    private readonly AuditFile _file;

    public RealAuditFileTests() => _file = _scratch.Open();

    private protected override IAuditFile File => _file;

    public void Dispose()
    {
        _file.Dispose();
        _scratch.Dispose();
    }
}
