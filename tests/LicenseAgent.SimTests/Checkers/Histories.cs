using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Sim.Checkers;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World.Server;

namespace LicenseAgent.SimTests.Checkers;

/// <summary>Histories made by hand.</summary>
internal static class Histories
{
    public const long Second = 1_000_000;
    public const long Hour = 3_600 * Second;
    public const string Till = "till-0001";

    public static Violation[] Found<T>(params Happening[] history)
        where T : Checker, new() => [.. new T().Check(new RunRecord(Plan(), history, []))];

    public static Plan Plan() => new(1, 1, "test", 1, 1, new Knobs(), [], []);

    public static VersionChanged Active(long at, long version, int graceHours) =>
        new(at, Till, version, VersionState.Active, SimServer.At(graceHours * Hour));

    public static Validated Answer(long at, string reason) =>
        new(at, Till, 1000, default(Nonce16), "lic", 1, 200, reason, "NORMAL", AuditedFirst: true);

    public static Seen Shown(long at, long active) => new(
        at, Till, "NORMAL", "", active, 0, 1, 0, active, SimServer.At(at).UnixMs, null);

    public static Violation[] FoundIn<T>(byte[] log, params Happening[] history)
        where T : Checker, new() => FoundIn<T>([log], history);

    public static Violation[] FoundIn<T>(byte[][] files, params Happening[] history)
        where T : Checker, new() =>
        [.. new T().Check(new RunRecord(Plan(), history, [new LogAtEnd(Till, [.. files])]))];
}
