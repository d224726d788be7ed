using LicenseAgent.Daemon.Adapters;
using LicenseAgent.Daemon.Adapters.Files;

namespace LicenseAgent.ContractTests.Audit;

/// <summary>A log directory of one test's own, on the real file system.</summary>
internal sealed class ScratchLogs : IDisposable
{
    private readonly string _parent = Directory.CreateTempSubdirectory("lsa-audit-").FullName;

    public string Folder => _parent + "/logs";

    public string Log => Folder + "/audit.log";

    public AuditFile Open() => new(Log);

    public void Dispose() => Directory.Delete(_parent, recursive: true);
}
