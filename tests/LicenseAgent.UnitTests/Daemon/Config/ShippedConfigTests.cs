using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using LicenseAgent.Daemon.Adapters;
using LicenseAgent.Daemon.Adapters.Files;
using LicenseAgent.Daemon.Config;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.Config;

/// <summary>Holds <c>deploy/config.toml</c> and the code to each other.</summary>
public sealed partial class ShippedConfigTests
{
    private static readonly Dictionary<string, string> NoVariables = [];

    [Fact]
    public void The_shipped_file_is_valid_and_says_exactly_the_defaults()
    {
        var shipped = ConfigReader.Read(Encoding.UTF8.GetBytes(Shipped()), NoVariables, _ => default);
        Assert.Empty(ConfigReport.Lines("config.toml", shipped.Errors));
        var defaults = ConfigReader.Read([], NoVariables, _ => default);
        Assert.Equal(JsonSerializer.Serialize(defaults.Config), JsonSerializer.Serialize(shipped.Config));
    }

    [Fact]
    public void The_shipped_file_shows_every_key_the_code_reads_and_no_other() =>
        Assert.Equal(ConfigReader.Keys().Order(StringComparer.Ordinal), ShownKeys().Order(StringComparer.Ordinal));

    [Fact]
    public void Every_commented_example_of_the_shipped_file_is_a_valid_value()
    {
        // allowed_uids cannot stand beside admin_uids and viewer_uids, which the file shows as well.
        string text = CommentedKey().Replace(Shipped(), "$1 =").Replace("admin_uids = []", "", StringComparison.Ordinal)
            .Replace("viewer_uids = []", "", StringComparison.Ordinal);
        var outcome = ConfigReader.Read(Encoding.UTF8.GetBytes(text), NoVariables, _ => new NamedFile(null, "no disk"));
        // The only complaints are about the eight files that are named and not there.
        Assert.Equal(8, outcome.Errors.Count);
        Assert.All(outcome.Errors, e => Assert.Contains("(no disk)", e.Message, StringComparison.Ordinal));
    }

    [Fact]
    public void A_file_that_is_not_there_is_an_error_with_its_name()
    {
        var outcome = ConfigFile.Load("/nonexistent/config.toml", NoVariables);
        string line = Assert.Single(ConfigReport.Lines("/nonexistent/config.toml", outcome.Errors));
        Assert.StartsWith("/nonexistent/config.toml: the file cannot be read", line, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(UnixFileMode.OtherWrite, 1)]
    [InlineData(UnixFileMode.OtherRead, 0)]
    public void A_file_that_everybody_may_write_is_refused(UnixFileMode others, int errors)
    {
        string path = Path.GetTempFileName();
        try
        {
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | others);
            Assert.Equal(errors, ConfigFile.Load(path, NoVariables).Errors.Count);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static IEnumerable<string> ShownKeys()
    {
        string section = "";
        foreach (string line in Shipped().Split('\n'))
        {
            if (line.StartsWith('['))
                section = line.Trim('[', ']');
            else if (ShownKey().Match(line) is { Success: true } key)
                yield return $"{section}.{key.Groups[1].Value}";
        }
    }

    [GeneratedRegex("^(?:# )?([a-z_]+) = ")]
    private static partial Regex ShownKey();

    [GeneratedRegex("^# ([a-z_]+) =", RegexOptions.Multiline)]
    private static partial Regex CommentedKey();

    private static string Shipped([CallerFilePath] string here = "") =>
        File.ReadAllText(Path.Combine(Path.GetDirectoryName(here)!, "../../../../deploy/config.toml"));
}
