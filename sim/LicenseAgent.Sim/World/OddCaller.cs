using System.Text;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Kernel;

namespace LicenseAgent.Sim.World;

/// <summary>
/// Calls that must come to nothing: of users nobody listed, of users without a role, of no sense at all, and too long.
/// </summary>
internal static class OddCaller
{
    private const uint Stranger = 2000;
    private const uint Application = 1000;
    private const uint Viewer = 501;

    // No till reads more than 64 KiB.
    private const int TooLong = 64 * 1024;

    public static void Call(SimLoop loop, Chronicle history, SimTill till, string token, SimRandom chance)
    {
        string nonce = Convert.ToHexStringLower(BitConverter.GetBytes(chance.Next()))[..16];
        string good = $$"""{"license_token":"{{token}}","nonce":"AAAAAAAAAAAAAAAAAAAAAA"}""";
        (string kind, uint uid, bool admin, string path, string body) = chance.Below(4) switch
        {
            3 => ("oversized", Application, false, LocalPaths.ValidateLicense, good + new string(' ', TooLong)),
            0 => ("stranger", Stranger, false, LocalPaths.ValidateLicense, good),
            1 => ("viewer", Viewer, true, ManagementPaths.Rotate, ""),
            _ => ("garbage", Application, false, LocalPaths.ValidateLicense, Garbage(good, nonce, chance)),
        };
        till.Call(
            admin, new PeerCredentials(uid, uid, 78), "POST", path, Encoding.UTF8.GetBytes(body), (status, _) =>
            {
                if (status != 0)
                {
                    history.Add(new OddCall(loop.NowUs, till.Id, kind, path, status));
                }
            });
    }

    private static string Garbage(string good, string noise, SimRandom chance) => chance.Below(7) switch
    {
        0 => good[..(int)chance.Below(good.Length)],
        1 => noise,
        2 => $$"""{"license_token":"{{noise}}"}""",
        3 => $$"""{"license_token":{"{{noise}}":1},"nonce":[]}""",
        4 => good.Replace("\"nonce\":", "\"nonce\":\"x\",\"nonce\":", StringComparison.Ordinal),
        5 => string.Concat(Enumerable.Repeat("[", 1_000)),
        _ => good.Replace("AAAA", "A\u0000A", StringComparison.Ordinal),
    };
}
