using LicenseAgent.Core;

namespace LicenseAgent.Daemon.State;

/// <summary><c>state.json</c> beside the software keys: their versions. Nothing protects it against being put
/// back.</summary>
internal sealed record SoftwareFile(int Format, string AgentId, SoftwareBook Book)
{
    public const int CurrentFormat = 1;
    public const string Name = "state.json";
}
