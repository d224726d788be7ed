using System.Collections.Frozen;
using LicenseAgent.Daemon.Config;

namespace LicenseAgent.Daemon.LocalApi.Operators;

/// <summary>What an operator may do; each may all that the one before may.</summary>
internal enum Role
{
    None,
    Viewer,
    Admin,
}

/// <summary>Roles by UID.</summary>
internal sealed class Roles(ManagementConfig config)
{
    private readonly FrozenSet<uint> _admins = config.AdminUids.ToFrozenSet();
    private readonly FrozenSet<uint> _viewers = config.ViewerUids.ToFrozenSet();

    public Role Of(uint uid) =>
        _admins.Contains(uid) ? Role.Admin : _viewers.Contains(uid) ? Role.Viewer : Role.None;

    public static string? Word(Role role) => role switch
    {
        Role.Admin => "admin",
        Role.Viewer => "viewer",
        _ => null,
    };

    public static Role Parse(string word) => word switch
    {
        "admin" => Role.Admin,
        "viewer" => Role.Viewer,
        _ => Role.None,
    };
}
