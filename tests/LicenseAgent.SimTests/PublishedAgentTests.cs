using System.Diagnostics;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Text.Json;
using Xunit;

namespace LicenseAgent.SimTests;

/// <summary>The agent that is published is the agent: what the simulator is made of stays here.</summary>
public sealed class PublishedAgentTests
{
    private static readonly string[] Foreign =
        ["LicenseAgent.Sim", "license-agent-sim", "LicenseAgent.Testbed", "LicenseAgent.Chaos", "Bogus", "xunit"];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private static string Publish => Path.Combine(CorpusTests.Root(), "deploy/publish");

    private static string Folder => Path.Combine(CorpusTests.Root(), "src/LicenseAgent.Daemon/bin/Release/net10.0");

    [Fact]
    public void Nothing_the_agent_is_published_with_is_of_the_simulator()
    {
        using JsonDocument deps = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Folder, "license-agent.deps.json")));
        string[] libraries = [.. deps.RootElement.GetProperty("libraries").EnumerateObject().Select(l => l.Name)];
        Assert.Contains(libraries, l => l.StartsWith("LicenseAgent.Core/", StringComparison.Ordinal));
        Assert.DoesNotContain(libraries, l => Foreign.Any(f => l.StartsWith(f, StringComparison.OrdinalIgnoreCase)));
    }

    [Theory]
    [InlineData("license-agent.dll")]
    [InlineData("LicenseAgent.Core.dll")]
    [InlineData("LicenseAgent.Protocol.dll")]
    [InlineData("LicenseAgent.Tpm.dll")]
    public void No_assembly_of_the_agent_names_the_simulator(string assembly)
    {
        using PEReader file = new(File.OpenRead(Path.Combine(Folder, assembly)));
        MetadataReader reader = file.GetMetadataReader();
        string[] names =
        [
            .. reader.AssemblyReferences.Select(r => reader.GetString(reader.GetAssemblyReference(r).Name)),
            .. reader.TypeDefinitions.Select(t => reader.GetString(reader.GetTypeDefinition(t).Namespace)),
        ];
        Assert.NotEmpty(names);
        Assert.DoesNotContain(names, n => Foreign.Any(f => n.StartsWith(f, StringComparison.OrdinalIgnoreCase)));
    }

    /// <summary>
    /// Evaluated as <c>deploy/publish</c> builds them. What comes of it takes minutes to make: deploy/publish looks into
    /// that itself, and ends with 1 where an assembly names one of these.
    /// </summary>
    [Fact]
    public async Task Nothing_that_is_shipped_lets_tests_or_testbed_see_into_it()
    {
        Assert.Contains("-p:Shipped=true", await File.ReadAllTextAsync(Publish, Cancel), StringComparison.Ordinal);
        string[] projects = Directory.GetFiles(Path.Combine(CorpusTests.Root(), "src"), "*.csproj", SearchOption.AllDirectories);
        Assert.NotEmpty(projects);
        List<string> friends = [];
        foreach (string project in projects.Order(StringComparer.Ordinal))
        {
            friends.AddRange((await FriendsAsync(project, "-p:Shipped=true"))
                .Select(f => $"{Path.GetFileNameWithoutExtension(project)}: {f}"));
        }

        // Of the product itself: the command line and the library under it.
        Assert.Equal(["LicenseAgent.Client: license-agent-cli"], friends);
    }

    /// <summary>Or the test before would have seen nothing in anything.</summary>
    [Fact]
    public async Task What_is_built_for_tests_lets_the_simulator_see_into_it() => Assert.Contains(
        "license-agent-sim",
        await FriendsAsync(Path.Combine(CorpusTests.Root(), "src/LicenseAgent.Daemon/LicenseAgent.Daemon.csproj")));

    /// <summary>To whom a project's assembly shows its internals.</summary>
    private static async Task<IReadOnlyList<string>> FriendsAsync(string project, params string[] properties)
    {
        ProcessStartInfo start = new(
            "dotnet", ["msbuild", project, "-nologo", "-nodeReuse:false", "-getItem:InternalsVisibleTo", .. properties])
        {
            RedirectStandardOutput = true,
        };
        using Process process = Process.Start(start)!;
        string said = await process.StandardOutput.ReadToEndAsync(Cancel);
        await process.WaitForExitAsync(Cancel);
        Assert.True(process.ExitCode == 0, said);
        using JsonDocument items = JsonDocument.Parse(said);
        return
        [
            .. items.RootElement.GetProperty("Items").GetProperty("InternalsVisibleTo").EnumerateArray()
                .Select(item => item.GetProperty("Identity").GetString()!),
        ];
    }
}
