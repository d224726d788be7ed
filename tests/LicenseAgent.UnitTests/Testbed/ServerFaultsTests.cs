using System.Text.Json;
using LicenseAgent.Testbed.Net;
using LicenseAgent.Testbed.Servers;
using Xunit;

namespace LicenseAgent.UnitTests.Testbed;

/// <summary>Faults of the license server as data, and the socket on which they are told.</summary>
public sealed class ServerFaultsTests
{
    private readonly ServerFaults _faults = new();

    [Fact]
    public void What_is_told_replaces_what_was_in_force_and_comes_back()
    {
        Assert.Equal("[]", _faults.Tell(""));
        Assert.Equal(
            """[{"match":"check-in","occurrence":1,"times":1,"body":"","malice":"revoke_storm"}]""",
            _faults.Tell("""[{"match":"check-in","malice":"revoke_storm"}]"""));
        Assert.Equal(
            """[{"match":"*","occurrence":1,"times":0,"delay":5,"status":503,"body":""}]""",
            _faults.Tell("""[{"match": "*", "times": 0, "delay": 5, "status": 503}]"""));
        Assert.Equal("[]", _faults.Tell("[]"));
    }

    [Theory]
    [InlineData("""[{"match":"*","malice":"rude"}]""", "malice")]
    [InlineData("""[{"match":"*","malice":1}]""", "malice")]
    [InlineData("""[{"drop":true}]""", "match")]
    [InlineData("""[{"match":"*","dropp":true}]""", "dropp")]
    [InlineData("nonsense", "nonsense")]
    [InlineData("{}", "List")]
    public void Nonsense_is_refused_by_name_and_changes_nothing(string line, string named)
    {
        string before = _faults.Tell("""[{"match":"enroll","drop":true}]""");
        string answer = _faults.Tell(line);
        Assert.StartsWith(ControlSocket.Refusal, answer, StringComparison.Ordinal);
        Assert.Contains(named, answer, StringComparison.Ordinal);
        Assert.Equal(before, _faults.Tell(""));
    }

    [Fact]
    public void What_comes_back_can_be_told_again()
    {
        string held = _faults.Tell("""[{"match":"*","times":0,"drop":true},{"match":"enroll","occurrence":3,"malice":"huge"}]""");
        Assert.Equal(held, _faults.Tell(held));
    }

    [Fact]
    public void The_faults_of_a_file_are_in_force_as_if_they_were_told()
    {
        Load("""[{"match":"*","times":0,"delay":5}]""");
        Assert.Equal(_faults.Tell(""), new ServerFaults().Tell("""[{"match":"*","times":0,"delay":5}]"""));
    }

    [Theory]
    [InlineData("", "JSON")]
    [InlineData("""[{"match":"*","malice":"rude"}]""", "malice")]
    [InlineData("""{"match":"*"}""", "List")]
    [InlineData(null, "Could not find")]
    public void A_file_of_no_faults_is_named_with_what_is_wrong_and_changes_nothing(string? content, string named)
    {
        string before = _faults.Tell("""[{"match":"enroll","drop":true}]""");
        FormatException e = Assert.Throws<FormatException>(() => Load(content));
        Assert.Contains("faults.json", e.Message, StringComparison.Ordinal);
        Assert.Contains(named, e.Message, StringComparison.Ordinal);
        Assert.Equal(before, _faults.Tell(""));
    }

    [Fact]
    public void More_faults_than_anybody_reads_are_refused()
    {
        string line = JsonSerializer.Serialize(Enumerable.Repeat(new { match = "*" }, 65));
        Assert.StartsWith(ControlSocket.Refusal, _faults.Tell(line), StringComparison.Ordinal);
    }

    /// <param name="content">null: there is no file.</param>
    private void Load(string? content)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("lsa-faults-");
        try
        {
            string file = Path.Combine(folder.FullName, "faults.json");
            if (content is not null) File.WriteAllText(file, content);
            _faults.Load(file);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Theory]
    [InlineData(ServerMalice.Replay)]
    [InlineData(ServerMalice.Downgrade)]
    public void A_lie_is_told_when_the_server_has_done_its_work(ServerMalice malice) =>
        Assert.Equal(ServerMoment.Committed, new ServerFault { Match = "*", Malice = malice }.Moment);
}
