using LicenseAgent.Cli.Display;
using Xunit;

namespace LicenseAgent.UnitTests.Cli;

/// <summary>What people see on a terminal of 80 columns, and what programs get.</summary>
public sealed class LookCommandTests
{
    [Fact]
    public async Task Status_fits_into_80_columns()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        CliRun run = await CliRun.OfAsync(agent, "status");
        Assert.Equal(
            """
            agent           pos-001
            mode            NORMAL
            next rotation   in 3 h 12 min (2026-11-03T12:12:00Z)
            last contact    4 min 7 s ago (2026-11-03T08:55:53Z)
            trusted now     2026-11-03T09:00:00Z
            TPM             ok (IBM, 7.3.1, lockout counter 0, generation 12)
            agent version   0.1.0

            VERSION STATE  KCV              VALID UNTIL          GRACE UNTIL
            7       ACTIVE 0102030405060707 in 1 d               in 8 d
                                            2026-11-04T09:00:00Z 2026-11-11T09:00:00Z
            6       GRACE  0102030405060706 now                  in 7 d
                                            2026-11-03T09:00:00Z 2026-11-10T09:00:00Z

            LICENSE       PRODUCT  ANSWER EXPIRES              LAST SEEN
            LIC-2026-0001 Till Pro VALID  in 300 d             4 s ago
                                          2027-08-30T09:00:00Z 2026-11-03T08:59:56Z

            """, run.Output);
        Assert.Equal((0, ""), (run.Exit, run.Error));
    }

    [Fact]
    public async Task Status_of_a_locked_till_says_what_to_do_and_shows_alerts()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Status = agent.Status with
        {
            Mode = "LOCKED",
            LockReason = "tpm_replaced",
            Alerts = [SampleAnswers.Alert],
            ActiveSecret = null,
            GraceSecrets = [],
            LicenseStatus = [],
            NextRotation = null,
            LastContact = null,
            TrustedNow = SampleAnswers.Now + TimeSpan.FromHours(30),
        };
        CliRun run = await CliRun.OfAsync(agent, "status");
        Assert.Equal(
            """
            agent           pos-001
            mode            LOCKED (tpm_replaced)
            what to do      This is not the TPM the till was enrolled with, or it was
                            cleared. Put it back, or on the server: license-server agents
                            add ID --replace; here: license-agent-cli enroll --replace
                            --bundle FILE.
            next rotation   -
            last contact    -
            trusted now     2026-11-04T15:00:00Z; this machine's clock is 1 d 6 h behind
            TPM             ok (IBM, 7.3.1, lockout counter 0, generation 12)
            agent version   0.1.0

            ! error         rotation_failing
                            4 rotation attempts failed in a row. Check the way to the
                            license server.
              since         1 d 11 h ago (2026-11-03T04:00:00Z)

            """, run.Output);
        Assert.Equal(0, run.Exit);
    }

    [Fact]
    public async Task In_a_file_a_secret_is_one_line()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        CliRun run = await CliRun.OfAsync(agent, ScreenForm.File, "secrets");
        Assert.Equal(
            """
            VERSION   STATE    KCV                VALID UNTIL                     GRACE UNTIL
            7         ACTIVE   0102030405060707   in 1 d (2026-11-04T09:00:00Z)   in 8 d (2026-11-11T09:00:00Z)
            6         GRACE    0102030405060706   now (2026-11-03T09:00:00Z)      in 7 d (2026-11-10T09:00:00Z)

            highest version seen 7, lowest valid 1

            """, run.Output);
    }

    [Fact]
    public async Task Without_a_secret_the_way_on_is_named()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Secrets = new([], 0, 0);
        CliRun run = await CliRun.OfAsync(agent, "secrets");
        Assert.StartsWith("No secret. `license-agent-cli status` says why", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tpm_shows_state_and_keys()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Tpm = agent.Tpm with { State = "unavailable", LastError = "no answer in 1 s", ClockMs = null };
        CliRun run = await CliRun.OfAsync(agent, "tpm");
        Assert.Equal(
            """
            state           unavailable
            last error      no answer in 1 s
            device          swtpm:unix:/run/tpm.sock
            manufacturer    IBM
            firmware        7.3.1
            lockout counter 0
            generation      12
            clock           -
            resets          3
            restarts        1
            signing key     NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs at 0x81018A01
            decryption key  0x81018A02
            SRK Name        000b0102

            """, run.Output);
    }

    [Fact]
    public async Task Clock_shows_what_rules_and_why()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        CliRun run = await CliRun.OfAsync(agent, "clock");
        Assert.Equal(
            """
            trusted now     2026-11-03T09:00:00Z
            rests on        the server's last word and the boot clock
            proven now      now (2026-11-03T09:00:00Z)
            wall clock      2026-11-06T09:00:00Z, 3 d ahead
            last contact at 7 min ago (2026-11-03T08:53:00Z)
            in this boot    yes
            high-water      30 s ago (2026-11-03T08:59:30Z)
            TPM mirror      2 h ago (2026-11-03T07:00:00Z)
            in doubt for    1 h 30 min of 48 h

            CLOCK      SAYS                 AHEAD     STEADY    VERDICT
            wall_clock 2026-11-06T09:00:00Z 3 d ahead 1 h 2 min too_far_ahead
            wall_clock: Contact decides.

            """, run.Output);
    }

    [Fact]
    public async Task Metrics_are_a_table_with_a_line_a_histogram()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        CliRun run = await CliRun.OfAsync(agent, "metrics");
        Assert.Equal(
            """
            METRIC (license_agent_…)                    VALUE
            audit_seq                                   0
            last_rotation                               now
            validation_duration_seconds                 12, mean 1.5 ms
            validation_failures_total{reason="EXPIRED"} 2

            """, run.Output);
    }

    [Theory]
    [InlineData("READY", 0, "Licenses can be validated until 2026-11-11T09:00:00Z, in 8 d.")]
    [InlineData("DEGRADED", 0, "Licenses can be validated until 2026-11-11T09:00:00Z, in 8 d.")]
    [InlineData("NOT_READY", 1, "Licenses cannot be validated. `license-agent-cli status` says why and what to do.")]
    public async Task Health_exits_with_whether_licenses_can_be_validated(string status, int exit, string says)
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Health = agent.Health with
        {
            Status = status,
            CanValidateUntil = exit == 0 ? agent.Health.CanValidateUntil : null,
        };
        CliRun run = await CliRun.OfAsync(agent, "health");
        Assert.Equal((exit, $"{status}, mode NORMAL\n{says}\n"), (run.Exit, run.Output));
    }

    [Theory]
    [InlineData("status")]
    [InlineData("secrets")]
    [InlineData("tpm")]
    [InlineData("clock")]
    [InlineData("metrics")]
    [InlineData("health")]
    [InlineData("rotate")]
    [InlineData("invalidate 6")]
    [InlineData("audit show")]
    [InlineData("audit verify")]
    [InlineData("license validate --token -")]
    public async Task Json_is_exactly_what_the_agent_answered(string command)
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        CliRun run = await new CliStart { Form = ScreenForm.File, Input = "e30.e30.e30.e30.e30" }.RunAsync(
            [.. command.Split(' '), "--json", "--socket", agent.SocketPath, .. PosSocket(command, agent)]);
        Assert.Equal((0, ""), (run.Exit, run.Error));
        Assert.NotEmpty(run.Bytes);
        Assert.Equal(agent.LastAnswer, run.Bytes);
    }

    [Fact]
    public async Task Json_on_a_terminal_ends_its_line()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        CliRun run = await CliRun.OfAsync(agent, "tpm", "--json");
        Assert.Equal([.. agent.LastAnswer, (byte)'\n'], run.Bytes);
    }

    [Fact]
    public async Task Version_needs_no_agent()
    {
        CliRun people = await new CliStart().RunAsync("version", "--socket", "/nonexistent");
        CliRun program = await new CliStart { Form = ScreenForm.File }.RunAsync("version", "--json");
        Assert.Equal((0, 0), (people.Exit, program.Exit));
        string version = people.Output["license-agent-cli ".Length..^1];
        Assert.Equal($$"""{"version":"{{version}}"}""", program.Output);
    }

    [Fact]
    public async Task Texts_from_elsewhere_cannot_steer_the_terminal()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        agent.Status = agent.Status with
        {
            LicenseStatus = [agent.Status.LicenseStatus[0] with { LicenseId = "LIC\u001b[31m[red]\u202e" }],
        };
        CliRun run = await CliRun.OfAsync(agent, "status");
        Assert.Contains("LIC?[31m[red]?", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Colour_is_for_terminals_that_want_it()
    {
        await using FakeAgent agent = await FakeAgent.StartAsync();
        CliRun colourful = await CliRun.OfAsync(agent, CliRun.Terminal with { HasColor = true }, "status");
        CliRun plain = await CliRun.OfAsync(agent, "status");
        Assert.Contains("\u001b[32mNORMAL", colourful.Output, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', plain.Output);
    }

    private static string[] PosSocket(string command, FakeAgent agent) =>
        command.StartsWith("license", StringComparison.Ordinal) ? ["--pos-socket", agent.SocketPath] : [];
}
