using System.Text.RegularExpressions;
using LicenseAgent.UnitTests.Tidy;
using Xunit;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;
using YamlDotNet.Serialization;

namespace LicenseAgent.UnitTests.Deploy;

/// <summary>
/// What every container of docker-compose.sim.yml is held to. The file is read with its anchors and merge keys resolved.
/// </summary>
public sealed partial class ComposeTests
{
    private const string File = "docker-compose.sim.yml";

    private static readonly Dictionary<string, object> s_file = Read();

    /// <summary>Where a till's operator and the server's hand things to each other; written by one-off containers.</summary>
    private static readonly string[] s_handedOver = ["handover", "pki"];

    public static TheoryData<string> Services { get; } = [.. Map(s_file["services"]).Keys];

    [Fact]
    public void The_parts_of_the_system_are_all_there() => Assert.Superset(
        new HashSet<string> { "license-server", "till-001", "till-002", "tpm-001", "tpm-002", "pos-001", "network", "prometheus" },
        Services.Select(row => row.Data).ToHashSet());

    [Theory]
    [MemberData(nameof(Services))]
    public void It_does_not_run_as_root(string service)
    {
        Dictionary<string, object> it = Service(service);
        string user = it.TryGetValue("user", out object? named) ? Text(named) : UserOfImage(Text(it["image"]));
        Assert.Matches(NotRoot(), user);
    }

    [Theory]
    [MemberData(nameof(Services))]
    public void Its_root_is_read_only_and_what_it_may_scribble_on_is_not_executable(string service)
    {
        Assert.Equal("true", Text(Service(service)["read_only"]));
        Assert.All(List(Service(service)["tmpfs"]), mount => Assert.Contains("noexec,nosuid,nodev,size=", Text(mount)));
    }

    [Theory]
    [MemberData(nameof(Services))]
    public void It_has_no_capability_and_cannot_gain_one(string service)
    {
        Assert.Equal(["ALL"], List(Service(service)["cap_drop"]).Select(Text));
        Assert.False(Service(service).ContainsKey("cap_add"));
        Assert.False(Service(service).ContainsKey("privileged"));
        Assert.Contains("no-new-privileges:true", List(Service(service)["security_opt"]).Select(Text));
    }

    [Theory]
    [MemberData(nameof(Services))]
    public void Its_processes_memory_and_log_are_bounded(string service)
    {
        Assert.InRange(int.Parse(Text(Service(service)["pids_limit"])), 1, 256);
        Assert.Matches("^[0-9]{1,3}m$", Text(Service(service)["mem_limit"]));
        Assert.Contains("max-size", Map(Map(Service(service)["logging"])["options"]).Keys);
    }

    [Theory]
    [MemberData(nameof(Services))]
    public void No_secret_is_in_its_environment(string service)
    {
        if (Service(service).TryGetValue("environment", out object? environment))
        {
            Assert.DoesNotMatch(Secret(), string.Join('\n', Map(environment).Select(e => $"{e.Key}={Text(e.Value)}")));
        }
    }

    [Theory]
    [MemberData(nameof(Services))]
    public void It_shares_no_namespace_device_or_path_of_the_host(string service)
    {
        Dictionary<string, object> it = Service(service);
        Assert.Empty(it.Keys.Intersect(["pid", "ipc", "userns_mode", "devices"]));
        if (it.TryGetValue("network_mode", out object? mode))
        {
            Assert.Equal("none", Text(mode));
        }

        Assert.All(
            it.TryGetValue("volumes", out object? mounts) ? List(mounts) : [],
            mount => Assert.Contains(Text(mount).Split(':')[0], Map(s_file["volumes"]).Keys));
    }

    [Theory]
    [MemberData(nameof(Services))]
    public void It_waits_for_the_health_of_what_it_needs_or_for_its_end(string service)
    {
        if (Service(service).TryGetValue("depends_on", out object? on) && on is Dictionary<object, object>)
        {
            Assert.All(
                Map(on),
                needed => Assert.Contains(
                    Text(Map(needed.Value)["condition"]),
                    (string[])["service_healthy", "service_completed_successfully", "service_started"]));
        }
    }

    [Fact]
    public void Only_the_network_of_this_machines_browser_leads_out()
    {
        IEnumerable<string> open = Map(s_file["networks"])
            .Where(n => !(n.Value is Dictionary<object, object> m && m.TryGetValue("internal", out object? i) && Text(i) == "true"))
            .Select(n => n.Key);
        Assert.Equal(["desk"], open);
    }

    [Fact]
    public void Tills_reach_the_license_server_through_the_faulty_network_alone()
    {
        string[] tills = [.. Networks("till-001"), .. Networks("till-002")];
        Assert.Empty(tills.Intersect(Networks("license-server")));
        Assert.Equal(["shops"], tills.Distinct().Intersect(Networks("network")));
        Assert.Contains("license-server", List(Map(Map(Service("network")["networks"])["shops"])["aliases"]).Select(Text));
    }

    [Fact]
    public void Ports_are_published_on_loopback_alone() => Assert.All(
        Services.Select(row => Service(row.Data)).Where(s => s.ContainsKey("ports")).SelectMany(s => List(s["ports"])),
        port => Assert.StartsWith("127.0.0.1:", Text(port)));

    [Fact]
    public void Neither_a_till_nor_a_TPM_shares_what_is_another_tills()
    {
        IEnumerable<(string Volume, string Till)> uses =
            from row in Services
            where OfOneTill().IsMatch(row.Data)
            from mount in Service(row.Data).TryGetValue("volumes", out object? mounts) ? List(mounts) : []
            let volume = Text(mount).Split(':')[0]
            where !s_handedOver.Contains(volume) && volume != "server"
            select (volume, row.Data[^3..]);
        Assert.All(uses, use => Assert.EndsWith(use.Till, use.Volume, StringComparison.Ordinal));
    }

    [Fact]
    public void The_keys_of_the_authorities_are_where_the_servers_user_is_and_nowhere_else()
    {
        IEnumerable<string> users =
            from row in Services
            where Service(row.Data).TryGetValue("volumes", out object? mounts)
                && List(mounts).Any(m => Text(m).StartsWith("pki:", StringComparison.Ordinal))
            select Text(Service(row.Data)["user"]).Split(':')[0];
        Assert.Equal(["10003"], users.Distinct());
    }

    private static IEnumerable<string> Networks(string service) => Service(service)["networks"] switch
    {
        List<object> names => names.Select(Text),
        object named => Map(named).Keys,
    };

    private static Dictionary<string, object> Service(string name) => Map(Map(s_file["services"])[name]);

    private static string UserOfImage(string image)
    {
        string stage = image.Split('/')[1];
        string text = SourceTree.Read("deploy/docker/Dockerfile");
        int from = text.IndexOf($" AS {stage}\n", StringComparison.Ordinal);
        int end = text.IndexOf("\nFROM ", from, StringComparison.Ordinal);
        return User().Matches(text[from..(end < 0 ? text.Length : end)])[^1].Groups[1].Value;
    }

    private static Dictionary<string, object> Map(object it) =>
        ((Dictionary<object, object>)it).ToDictionary(e => (string)e.Key, e => e.Value);

    private static List<object> List(object it) => (List<object>)it;

    private static string Text(object it) => (string)it;

    private static Dictionary<string, object> Read()
    {
        using StringReader text = new(SourceTree.Read(File));
        MergingParser merged = new(new Parser(text));
        merged.Consume<StreamStart>();
        return Map(new DeserializerBuilder().Build().Deserialize<Dictionary<object, object>>(merged));
    }

    [GeneratedRegex("-[0-9]{3}$")]
    private static partial Regex OfOneTill();

    [GeneratedRegex(@"^[1-9][0-9]*:[1-9][0-9]*$")]
    private static partial Regex NotRoot();

    [GeneratedRegex("(?i)password|passwd|secret|token|_key=|private")]
    private static partial Regex Secret();

    [GeneratedRegex(@"^USER (\S+)$", RegexOptions.Multiline)]
    private static partial Regex User();
}
