using LicenseAgent.Daemon.LocalApi;
using LicenseAgent.Daemon.LocalApi.Operators;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.UnitTests.Daemon.Audit;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.LocalApi;

/// <summary>Watching the log does not fill it, and is in it all the same.</summary>
public sealed class RepeatedLookTests
{
    private readonly Audit.StandingClock _clock = new("boot-a", 0);
    private readonly List<AuditEntry> _noted = [];
    private readonly RepeatedLooks _looks;

    public RepeatedLookTests() => _looks = new RepeatedLooks(
        new LocalJournal(
            (in AuditedValidation _) => Task.CompletedTask, _noted.Add, _ => Task.CompletedTask,
            () => Task.CompletedTask, () => false),
        _clock);

    [Fact]
    public void The_first_look_is_recorded_and_those_of_a_minute_are_one_record_with_their_number()
    {
        Assert.False(Look());
        for (int i = 0; i < 30; i++)
        {
            Assert.True(Look());
            _clock.BootMs += 1_999;
        }
        _clock.BootMs += 60_000;
        _looks.Turn();
        Assert.Equal(30, Count(Assert.Single(_noted)));
    }

    [Fact]
    public void Who_watches_for_an_hour_costs_a_record_a_minute()
    {
        Look();
        for (int i = 0; i < 1_800; i++)
        {
            _clock.BootMs += 2_000;
            Assert.True(Look());
            _looks.Turn();
        }
        Assert.InRange(_noted.Count, 58, 60);
        Assert.InRange(_noted.Sum(Count), 1_740, 1_800);
    }

    [Fact]
    public void A_look_after_a_minute_of_none_is_recorded_again()
    {
        Look();
        _clock.BootMs += 60_000;
        Assert.False(Look());
        Assert.Empty(_noted);
    }

    [Fact]
    public void Another_process_and_another_path_are_recorded_by_themselves()
    {
        Look();
        Assert.False(Look(pid: 2));
        Assert.False(Look(path: "/v1/metrics"));
        Assert.True(Look(pid: 2));
    }

    [Theory]
    [InlineData("GET", "/v1/status", AuditOutcome.Ok)]
    [InlineData("GET", "/v1/audit/verify", AuditOutcome.Ok)]
    [InlineData("POST", "/v1/audit", AuditOutcome.Ok)]
    [InlineData("GET", "/v1/audit", AuditOutcome.Refused)]
    public void Every_other_call_and_every_refusal_is_recorded(string method, string path, AuditOutcome outcome)
    {
        Assert.False(Look(method, path, outcome));
        Assert.False(Look(method, path, outcome));
    }

    [Fact]
    public void A_stop_writes_what_was_counted()
    {
        Look();
        Look();
        _looks.Finish();
        Assert.Equal(1, Count(Assert.Single(_noted)));
    }

    private static long Count(AuditEntry entry)
    {
        byte[] line = new byte[AuditFormat.MaxLineBytes];
        using var chain = new AuditChain(new AuditPoint(0, default), "boot-a");
        int length = chain.Write(line, AuditBench.Start, 0, entry);
        string text = System.Text.Encoding.UTF8.GetString(line, 0, length);
        return long.Parse(
            text.Split("\"count\":")[1].Split('}')[0], System.Globalization.CultureInfo.InvariantCulture);
    }

    private bool Look(
        string method = "GET", string path = "/v1/audit", AuditOutcome outcome = AuditOutcome.Ok, int pid = 1)
    {
        var call = new LocalCall(new PeerCredentials(1000, 100, pid), method, path, "", null, default, false);
        return _looks.Counts(call, new AuditEntry(
            "management_called", null, AuditActor.Operator(1000, 100, pid, "viewer"), outcome,
            new AuditDetails { { "path", path } }));
    }
}
