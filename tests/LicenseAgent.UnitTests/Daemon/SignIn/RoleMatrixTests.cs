using LicenseAgent.Daemon.LocalApi.Operators;
using LicenseAgent.Protocol.Audit;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.SignIn;

/// <summary>
/// Every call of the route table, by every kind of caller, with and without <c>require_certificate</c>. A new call is
/// in it by itself, and fails until the table below says what it needs.
/// </summary>
public sealed class RoleMatrixTests
{
    /// <summary>What each call needs, stated once more and apart from the program.</summary>
    private static readonly Dictionary<string, string> Needs = new()
    {
        ["GET /v1/status"] = "viewer",
        ["GET /v1/secrets"] = "viewer",
        ["GET /v1/tpm"] = "viewer",
        ["GET /v1/clock"] = "viewer",
        ["GET /v1/metrics"] = "viewer",
        ["GET /v1/audit"] = "viewer",
        ["GET /v1/audit/verify"] = "viewer",
        ["GET /v1/health"] = "viewer",
        ["GET /v1/openapi.json"] = "viewer",
        ["POST /v1/enroll"] = "admin",
        ["POST /v1/rotate"] = "admin",
        ["POST /v1/secrets/{version}/invalidate"] = "admin",
        ["POST /v1/degraded"] = "admin",
        ["POST /v1/reload"] = "admin",
        ["POST /v1/auth/challenge"] = "uid",
        ["POST /v1/auth/session"] = "uid",
    };

    /// <summary>Bodies of calls that need one; what is not a bundle is 400 for who may enrol, and 403 before.</summary>
    private static readonly Dictionary<string, (string Json, int Accepted)> Bodies = new()
    {
        ["POST /v1/enroll"] = ("{}", 400),
        ["POST /v1/degraded"] = ("""{"allowed":false}""", 200),
        ["POST /v1/auth/session"] = ("""{"certificate_chain":[],"signature":""}""", 403),
    };

    private static readonly uint[] Uids =
        [SignInBench.AdminUid, SignInBench.ViewerUid, SignInBench.NobodyUid];

    public static TheoryData<bool, string, uint, Shown> Cells()
    {
        var cells = new TheoryData<bool, string, uint, Shown>();
        foreach (bool required in (bool[])[false, true])
        {
            foreach (ManagementRoute route in SignInBench.Routes())
            {
                foreach (uint uid in Uids)
                {
                    foreach (Shown shown in Enum.GetValues<Shown>())
                        cells.Add(required, $"{route.Method} {route.Path}", uid, shown);
                }
            }
        }
        return cells;
    }

    [Fact]
    public void Every_call_has_its_row_and_every_row_its_call() => Assert.Equal(
        Needs.Keys.Order(StringComparer.Ordinal),
        SignInBench.Routes().Select(route => $"{route.Method} {route.Path}").Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Cells))]
    public async Task A_call_is_answered_by_what_its_caller_may_and_is_recorded(
        bool required, string call, uint uid, Shown shown)
    {
        using SignInBench bench = new(required);
        int expected = Expected(required, call, uid, shown);

        (int status, string body) = await CallAsync(bench, call, uid, shown);

        Assert.Equal((expected, call), (status, $"{call}{(status == expected ? "" : body)}"));
        AuditEntry record = Assert.Single(bench.Journal.Calls);
        Assert.Equal(status >= 400 ? AuditOutcome.Refused : AuditOutcome.Ok, record.Outcome);
        bool https = shown is Shown.HttpsAdmin or Shown.HttpsViewer or Shown.HttpsRevoked;
        Assert.Equal(https ? null : uid, record.Actor.Uid);
        bool signedIn = (shown is Shown.AdminSession or Shown.ViewerSession) && UidRole(uid) > 0;
        Assert.Equal(https || signedIn, record.Details.Any(detail => detail.Key == "subject"));
    }

    [Theory]
    [MemberData(nameof(Cells))]
    public async Task Who_may_not_changes_nothing(bool required, string call, uint uid, Shown shown)
    {
        using SignInBench bench = new(required);
        (int status, _) = await CallAsync(bench, call, uid, shown);
        bool changes = Needs[call] == "admin" && status == 200;
        Assert.Equal(changes ? 1 : 0, bench.Done.Count);
    }

    private static Task<(int Status, string Body)> CallAsync(SignInBench bench, string call, uint uid, Shown shown)
    {
        string[] parts = call.Split(' ');
        string json = Bodies.TryGetValue(call, out (string Json, int) body) ? body.Json : "";
        return bench.CallAsync(
            parts[0], parts[1].Replace("{version}", "5", StringComparison.Ordinal), uid, shown, json);
    }

    /// <summary>The rules of protocol.md §5 in other words than the program's.</summary>
    private static int Expected(bool required, string call, uint uid, Shown shown)
    {
        int accepted = Bodies.TryGetValue(call, out (string, int Accepted) body) ? body.Accepted : 200;
        bool https = shown is Shown.HttpsAdmin or Shown.HttpsViewer or Shown.HttpsRevoked;
        if (Needs[call] == "uid")
            return https ? 409 : UidRole(uid) == 0 ? 403 : accepted;
        switch (shown)
        {
            case Shown.HttpsRevoked:
                return 403;
            case Shown.AdminSession or Shown.ViewerSession or Shown.OldSession when UidRole(uid) == 0:
                // Nobody gets no session, so this caller comes with nothing.
                return required ? 401 : 403;
            case Shown.StolenSession or Shown.OldSession or Shown.Nonsense:
                return 401;
            case Shown.Uid when required:
                return 401;
        }
        return RoleBy(uid, shown) >= (Needs[call] == "admin" ? 2 : 1) ? accepted : 403;
    }

    private static int RoleBy(uint uid, Shown shown) => shown switch
    {
        Shown.Uid => UidRole(uid),
        Shown.ViewerSession => Math.Min(UidRole(uid), 1),
        Shown.AdminSession => UidRole(uid),
        Shown.HttpsViewer => 1,
        Shown.HttpsAdmin => 2,
        _ => 0,
    };

    private static int UidRole(uint uid) =>
        uid == SignInBench.AdminUid ? 2 : uid == SignInBench.ViewerUid ? 1 : 0;
}
