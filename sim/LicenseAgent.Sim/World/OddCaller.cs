using System.Text;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Kernel;

namespace LicenseAgent.Sim.World;

/// <summary>
/// Calls that must come to nothing: of users nobody listed for the socket, of users without the role, of no sense at
/// all, and of more bytes than a call may have.
/// </summary>
internal static class OddCaller
{
    private const uint Application = 1000;
    private const uint Admin = 500;
    private const uint Viewer = 501;

    // Root and nobody are let in only where they are listed (agent.md §9), and here they are not.
    private static readonly uint[] Unlisted = [2000, 0, 65_534];

    private static readonly string[] Questions =
        [LocalPaths.ValidateLicense, LocalPaths.RenewLicense, LocalPaths.Health, "/v1/nothing"];

    // Everything that changes something, and one that only looks.
    private static readonly string[] Orders =
    [
        ManagementPaths.Rotate, ManagementPaths.Enroll, ManagementPaths.Degraded, ManagementPaths.Reload,
        $"{ManagementPaths.InvalidatePrefix}1{ManagementPaths.InvalidateSuffix}",
    ];

    private static readonly string[] OrdersAndLooks = [.. Orders, ManagementPaths.Challenge, ManagementPaths.Status];

    public static void Call(SimLoop loop, Chronicle history, SimTill till, string token, SimRandom chance)
    {
        string good = $$"""{"license_token":"{{token}}","nonce":"AAAAAAAAAAAAAAAAAAAAAA"}""";
        Odd odd = chance.Below(4) switch
        {
            0 => StrangersCall(good, chance),
            1 => new Odd("viewer", Viewer, true, chance.Pick(Orders), chance.Chance(0.5) ? "" : """{"allowed":true}"""),
            2 => NonsenseOf(good, chance),
            _ => chance.Chance(0.5)
                ? new Odd("oversized", Application, false, LocalPaths.ValidateLicense, "")
                : new Odd("oversized", Admin, true, chance.Pick(Orders), ""),
        };
        till.Call(
            odd.Admin, new PeerCredentials(odd.Uid, odd.Uid, 78), "POST", odd.Path, Encoding.UTF8.GetBytes(odd.Body),
            (status, _) =>
            {
                if (status != 0)
                {
                    history.Add(new OddCall(loop.NowUs, till.Id, odd.Kind, odd.Path, status));
                }
            },
            oversized: odd.Kind == "oversized");
    }

    /// <summary>Of a user that is on no list, or on that of the other socket.</summary>
    private static Odd StrangersCall(string good, SimRandom chance)
    {
        bool admin = chance.Chance(0.5);
        uint uid = chance.Pick([.. Unlisted, admin ? Application : chance.Chance(0.5) ? Admin : Viewer]);
        return admin
            ? new Odd("stranger", uid, true, chance.Pick(OrdersAndLooks), "")
            : new Odd("stranger", uid, false, chance.Pick(Questions), good);
    }

    /// <summary>Of somebody who may call. Never empty: some orders need no body, and would be carried out.</summary>
    private static Odd NonsenseOf(string good, SimRandom chance) => chance.Chance(0.5)
        ? new Odd("garbage", Application, false, chance.Pick(Questions[..2]), Garbage(good, chance))
        : new Odd("garbage", Admin, true, chance.Pick(Orders), Garbage(good, chance));

    private static string Garbage(string good, SimRandom chance)
    {
        string noise = Convert.ToHexStringLower(BitConverter.GetBytes(chance.Next()))[..16];
        return chance.Below(7) switch
        {
            0 => good[..(1 + (int)chance.Below(good.Length - 1))],
            1 => noise,
            2 => $$"""{"license_token":"{{noise}}"}""",
            3 => $$"""{"license_token":{"{{noise}}":1},"nonce":[]}""",
            4 => good.Replace("\"nonce\":", "\"nonce\":\"x\",\"nonce\":", StringComparison.Ordinal),
            5 => string.Concat(Enumerable.Repeat("[", 1_000)),
            _ => good.Replace("AAAA", "A\u0000A", StringComparison.Ordinal),
        };
    }

    private sealed record Odd(string Kind, uint Uid, bool Admin, string Path, string Body);
}
