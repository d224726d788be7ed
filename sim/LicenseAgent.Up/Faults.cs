using LicenseAgent.Testbed.Tpm;

namespace LicenseAgent.Up;

/// <summary>Faults that the live view can repeat: healthy for a while, broken for a while.</summary>
internal static class Faults
{
    private static readonly TimeSpan Healthy = TimeSpan.FromSeconds(15), Broken = TimeSpan.FromSeconds(10);

    // What the server does to every request while it is broken.
    private static readonly Dictionary<string, string> s_serverFaults = new(StringComparer.Ordinal)
    {
        ["server-busy"] = """[{"match":"*","times":0,"status":503,"body":"busy"}]""",
        ["answers-lost"] = """[{"match":"*","times":0,"drop":true,"after_commit":true}]""",
        ["answers-replayed"] = """[{"match":"*","times":0,"malice":"replay"}]""",
        ["answers-unsigned"] = """[{"match":"*","times":0,"malice":"unsigned"}]""",
    };

    // What the bus to every TPM does while it is broken. 0x922 is TPM_RC_RETRY.
    private static readonly Dictionary<string, string> s_tpmFaults = new(StringComparer.Ordinal)
    {
        ["tpm-counter-hung"] = """[{"on":"NV_Increment","times":0,"fault":"hang"}]""",
        ["tpm-busy"] = """[{"on":"*","times":0,"fault":"answer","rc":2338}]""",
    };

    public static IReadOnlyList<string> Names { get; } =
        ["server-down", "tpm-down", "tpm-hung", "agent-killed", .. s_serverFaults.Keys, .. s_tpmFaults.Keys];

    /// <summary>It is one that the server itself is told.</summary>
    public static bool IsOfServer(string? name) => name is not null && s_serverFaults.ContainsKey(name);

    /// <summary>It is one that the bus between a till and its TPM is told.</summary>
    public static bool IsOfTpm(string? name) => name is not null && s_tpmFaults.ContainsKey(name);

    /// <summary>Repeats the fault until cancelled; every till is hit by those that are about a till.</summary>
    public static async Task RepeatAsync(string name, Stage stage, Action<string> say, CancellationToken cancel)
    {
        while (true)
        {
            say("healthy");
            await Task.Delay(Healthy, cancel);
            say(name);
            await BreakAsync(name, stage, cancel);
            await Task.Delay(Broken, cancel);
            await MendAsync(name, stage, cancel);
        }
    }

    private static async Task BreakAsync(string name, Stage stage, CancellationToken cancel)
    {
        if (name == "server-down")
        {
            await stage.Server.KillAsync();
        }

        if (s_serverFaults.TryGetValue(name, out string? faults))
        {
            await stage.Server.TellAsync(faults, cancel);
        }

        foreach (StageTill till in stage.Tills)
        {
            switch (name)
            {
                case "tpm-down": await till.Tpm.KillAsync(); break;
                case "tpm-hung": till.Tpm.Stop(); break;
                case "agent-killed": await till.RestartAgentAsync(cancel); break;
                case var _ when s_tpmFaults.TryGetValue(name, out string? rules):
                    await TpmProxy.TellAsync(till.BusFaults, rules, cancel);
                    break;
            }
        }
    }

    private static async Task MendAsync(string name, Stage stage, CancellationToken cancel)
    {
        if (name == "server-down")
        {
            await stage.Server.RestartAsync(cancel);
        }

        if (IsOfServer(name))
        {
            await stage.Server.TellAsync("[]", cancel);
        }

        foreach (StageTill till in stage.Tills)
        {
            switch (name)
            {
                case "tpm-down": await till.Tpm.RestartAsync(cancel); break;
                case "tpm-hung": till.Tpm.Continue(); break;
                case var _ when IsOfTpm(name): await TpmProxy.TellAsync(till.BusFaults, "[]", cancel); break;
            }
        }
    }
}
