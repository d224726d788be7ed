using System.Buffers;

namespace LicenseAgent.Daemon.LocalApi.Operators;

/// <summary>Carries a call out for a caller whose role suffices.</summary>
internal delegate ValueTask<ManagementOutcome> RouteHandler(
    LocalCall call, ArrayBufferWriter<byte> body, CancellationToken cancel);

/// <summary>One call of the management API.</summary>
/// <param name="Path"><c>{version}</c> stands for a number.</param>
/// <param name="Needs"><see cref="Role.None"/>: a call that begins a session, for every UID that has a role.</param>
internal sealed record ManagementRoute(string Method, string Path, Role Needs, RouteHandler Handle)
{
    /// <summary>It is not begun while it could not be recorded.</summary>
    public bool Changes => Method == "POST" && Needs == Role.Admin;

    public bool BeginsSession => Needs == Role.None;
}
