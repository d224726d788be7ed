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
}
