using System.Buffers;
using System.Text;
using System.Text.Json;
using LicenseAgent.Core;
using LicenseAgent.Daemon;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.LocalApi;
using LicenseAgent.Daemon.LocalApi.Operators;
using LicenseAgent.Daemon.LocalApi.Peers;
using LicenseAgent.Daemon.LocalApi.SignIn;
using LicenseAgent.Daemon.LocalApi.Validation;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Management;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.LocalApi;

public sealed class ManagementApiTests : IDisposable
{
    private const uint Admin = 0, Viewer = 1003, Nobody = 1004;

    private readonly LocalBench _bench = new();
    private readonly BenchJournal _journal = new();
    private readonly List<string> _done = [];
    private readonly ManagementApi _api;
    private static readonly AuditVerifyResponse Verified = new(true, 1, 2, default, 0, 0, []);

    private TaskCompletionSource<AuditVerifyResponse>? _verification;
    private Func<CommandAnswer<RotateOutcome>> _rotate =
        () => new CommandAnswer<RotateOutcome>(new RotateOutcome("rotated", 7, null), null);

    public ManagementApiTests()
    {
        LocalContext context = _bench.Context(_journal.Journal);
        var commands = new AgentCommands(
            (_, _) => throw new InvariantBroken("Nobody enrols here."),
            _ => Do("rotate", _rotate),
            (version, force, _) => Do(
                $"invalidate {version} {force}",
                () => new CommandAnswer<InvalidateOutcome>(new InvalidateOutcome(version, "INVALIDATED"), null)),
            (_, _) => throw new InvariantBroken("Nobody orders here."),
            (_, _) => throw new InvariantBroken("Nobody renews here."));
        var audit = new AuditSources(
            (after, limit) =>
            {
                _done.Add($"audit {after} {limit}");
                return new AuditPage([JsonDocument.Parse("""{"seq":1}""").RootElement], 1);
            },
            _ => _verification?.Task ?? Task.FromResult(Verified));
        var sessions = new Sessions(new OsBytes(), _bench.Clock);
        var callers = new Callers(new ManagementConfig("", [Admin], [Viewer]), sessions);
        _api = new ManagementApi(
            context, callers, new RateLimit(1000, 1000, _bench.Clock),
            new ManagementCalls(
                context,
                new ManagementSources(
                    commands, new RecentLicenses(), () => "license_agent_mode 1\n", audit,
                    () => throw new InvariantBroken("Nobody reloads here.")),
                new SignInCalls(context, callers, new Challenges(new OsBytes(), _bench.Clock), sessions)),
            _ => { }, new RepeatedLooks(context.Journal, _bench.Clock));
    }

    public void Dispose() => _bench.Dispose();

    public static TheoryData<string, string, uint, int> Matrix()
    {
        var rows = new TheoryData<string, string, uint, int>();
        string[] looks =
        [
            "/v1/status", "/v1/secrets", "/v1/tpm", "/v1/clock", "/v1/metrics", "/v1/audit", "/v1/audit/verify", "/v1/health",
            "/v1/openapi.json",
        ];
        string[] acts = ["/v1/rotate", "/v1/secrets/5/invalidate"];
        foreach (string look in looks)
        {
            rows.Add("GET", look, Admin, 200);
            rows.Add("GET", look, Viewer, 200);
            rows.Add("GET", look, Nobody, 403);
        }
        foreach (string act in acts)
        {
            rows.Add("POST", act, Admin, 200);
            rows.Add("POST", act, Viewer, 403);
            rows.Add("POST", act, Nobody, 403);
            rows.Add("GET", act, Admin, 405);
        }
        rows.Add("POST", "/v1/enroll", Viewer, 403);
        rows.Add("POST", "/v1/status", Admin, 405);
        rows.Add("GET", "/v1/secrets/0/invalidate", Admin, 404);
        rows.Add("POST", "/v1/secrets/05/invalidate", Admin, 404);
        rows.Add("POST", "/v1/secrets//invalidate", Admin, 404);
        rows.Add("POST", "/v1/secrets/invalidate", Admin, 404);
        rows.Add("POST", "/v1/secrets/9007199254740992/invalidate", Admin, 404);
        rows.Add("GET", "/v1/nothing", Admin, 404);
        return rows;
    }

    [Theory]
    [MemberData(nameof(Matrix))]
    public async Task A_call_is_answered_by_the_role_of_its_UID(string method, string path, uint uid, int status) =>
        Assert.Equal(status, (await CallAsync(method, path, uid)).Answer.Status);

    [Theory]
    [MemberData(nameof(Matrix))]
    public async Task Every_call_is_recorded_with_its_outcome(string method, string path, uint uid, int status)
    {
        await CallAsync(method, path, uid);
        AuditEntry record = Assert.Single(_journal.Calls);
        string? role = uid == Admin ? "admin" : uid == Viewer ? "viewer" : null;
        Assert.Equal(
            ("management_called", uid, role, status == 200 ? AuditOutcome.Ok : AuditOutcome.Refused),
            (record.Event, record.Actor.Uid, record.Actor.Role, record.Outcome));
        Assert.Equal<AuditValue>(path, record.Detail("path"));
        Assert.Equal<AuditValue>((long)status, record.Detail("status"));
    }

    [Fact]
    public async Task A_viewer_changes_nothing()
    {
        await CallAsync("POST", "/v1/rotate", Viewer);
        Assert.Empty(_done);
    }

    [Fact]
    public async Task Where_the_log_cannot_be_written_nothing_is_done()
    {
        _journal.Failure = new StorageException("disk_full", "no space");
        (LocalAnswer answer, string body) = await CallAsync("POST", "/v1/rotate", Admin);
        Assert.Equal(503, answer.Status);
        Assert.Contains("disk_full", body, StringComparison.Ordinal);
        Assert.Empty(_done);
    }

    [Fact]
    public async Task Where_the_log_cannot_be_written_an_operator_still_sees_the_status()
    {
        _journal.Failure = new StorageException("disk_full", "no space");
        Assert.Equal(200, (await CallAsync("GET", "/v1/status", Viewer)).Answer.Status);
    }

    [Fact]
    public async Task What_was_done_and_could_not_be_recorded_is_told_so()
    {
        _rotate = () =>
        {
            _journal.Failure = new StorageException("disk_full", "no space");
            return new CommandAnswer<RotateOutcome>(new RotateOutcome("rotated", 7, null), null);
        };
        (LocalAnswer answer, string body) = await CallAsync("POST", "/v1/rotate", Admin);
        Assert.Equal(503, answer.Status);
        Assert.Contains("ended with status 200", body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_record_of_a_change_is_on_stable_storage_before_the_answer()
    {
        _journal.HoldWrites = new TaskCompletionSource();
        Task<(LocalAnswer Answer, string Body)> call = CallAsync("POST", "/v1/rotate", Admin);
        Assert.False(call.IsCompleted);
        _journal.HoldWrites.SetResult();
        Assert.Equal("""{"outcome":"rotated","version":7,"reason":null}""", (await call).Body);
    }

    [Fact]
    public async Task A_rotation_that_failed_is_an_answer_and_a_failure_in_the_log()
    {
        _rotate = () => new CommandAnswer<RotateOutcome>(new RotateOutcome("failed", null, "no_contact"), null);
        Assert.Equal(200, (await CallAsync("POST", "/v1/rotate", Admin)).Answer.Status);
        Assert.Equal(AuditOutcome.Failed, _journal.Calls[0].Outcome);
    }

    [Fact]
    public async Task A_refusal_of_the_agent_is_passed_on()
    {
        _rotate = () => new CommandAnswer<RotateOutcome>(
            null, new Problem("about:blank", "Conflict", 409, ProblemCodes.Conflict, "Not enrolled."));
        (LocalAnswer answer, string body) = await CallAsync("POST", "/v1/rotate", Admin);
        Assert.Equal((409, Problems.ContentType), (answer.Status, answer.ContentType));
        Assert.Contains("Not enrolled.", body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_disk_or_TPM_that_fails_is_503_with_its_words()
    {
        _rotate = () => throw new StorageException("state_write", "state.json cannot be written: no space left.");
        (LocalAnswer answer, string body) = await CallAsync("POST", "/v1/rotate", Admin);
        Assert.Equal((503, AuditOutcome.Failed), (answer.Status, _journal.Calls[0].Outcome));
        Assert.Contains("no space left", body, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "invalidate 5 False")]
    [InlineData("{}", "invalidate 5 False")]
    [InlineData("""{"force":true}""", "invalidate 5 True")]
    public async Task An_invalidation_takes_force_from_its_body(string json, string done)
    {
        await CallAsync("POST", "/v1/secrets/5/invalidate", Admin, json);
        Assert.Equal(done, Assert.Single(_done));
    }

    [Theory]
    [InlineData("POST", "/v1/secrets/5/invalidate", """{"forced":true}""")]
    [InlineData("POST", "/v1/rotate", """{"force":true}""")]
    [InlineData("POST", "/v1/enroll", "{}")]
    [InlineData("GET", "/v1/audit?limit=0", "")]
    [InlineData("GET", "/v1/audit?limit=1001", "")]
    [InlineData("GET", "/v1/audit?after=-1", "")]
    [InlineData("GET", "/v1/audit?after=1&after=2", "")]
    [InlineData("GET", "/v1/audit?from=1", "")]
    public async Task A_call_of_another_shape_is_400_and_does_nothing(string method, string target, string json)
    {
        Assert.Equal(400, (await CallAsync(method, target, Admin, json)).Answer.Status);
        Assert.Empty(_done);
    }

    [Theory]
    [InlineData("", "audit 0 100")]
    [InlineData("?after=7", "audit 7 100")]
    [InlineData("?limit=1000&after=9", "audit 9 1000")]
    public async Task The_audit_query_says_from_where_and_how_many(string query, string done)
    {
        (_, string body) = await CallAsync("GET", "/v1/audit" + query, Viewer);
        Assert.Equal(done, Assert.Single(_done));
        Assert.Equal("""{"records":[{"seq":1}],"next":1}""", body);
    }

    [Fact]
    public async Task The_status_shows_secrets_by_state_and_what_follows_from_the_time()
    {
        _bench.Clock.BootMs += (long)(2 * LocalBench.Day).TotalMilliseconds;
        (_, string body) = await CallAsync("GET", "/v1/status", Viewer);
        StatusResponse status = JsonSerializer.Deserialize(body, ManagementAnswerJsonContext.Wire.StatusResponse)!;
        Assert.Equal(("DEGRADED", 6L, 7L), (status.Mode, status.ActiveSecret!.Version, status.PendingSecret!.Version));
        Assert.Empty(status.GraceSecrets);
        Assert.Equal(LocalBench.Start + 2 * LocalBench.Day, status.TrustedNow);
    }

    [Fact]
    public async Task One_verification_runs_at_a_time()
    {
        _verification = new TaskCompletionSource<AuditVerifyResponse>();
        Task<(LocalAnswer Answer, string Body)> first = CallAsync("GET", "/v1/audit/verify", Viewer);
        Assert.Equal(409, (await CallAsync("GET", "/v1/audit/verify", Admin)).Answer.Status);
        _verification.SetResult(Verified);
        Assert.Equal(200, (await first).Answer.Status);
        Assert.Equal(200, (await CallAsync("GET", "/v1/audit/verify", Admin)).Answer.Status);
    }

    [Fact]
    public async Task Metrics_are_text()
    {
        (LocalAnswer answer, string body) = await CallAsync("GET", "/v1/metrics", Viewer);
        Assert.StartsWith("text/plain", answer.ContentType, StringComparison.Ordinal);
        Assert.Equal("license_agent_mode 1\n", body);
    }

    private Task<CommandAnswer<T>> Do<T>(string what, Func<CommandAnswer<T>> command)
        where T : class
    {
        _done.Add(what);
        return Task.FromResult(command());
    }

    private async Task<(LocalAnswer Answer, string Body)> CallAsync(
        string method, string target, uint uid, string json = "")
    {
        string[] parts = target.Split('?');
        var call = new LocalCall(
            new PeerCredentials(uid, uid, 1), method, parts[0], parts.Length > 1 ? "?" + parts[1] : "",
            json.Length > 0 ? "application/json" : null, Encoding.UTF8.GetBytes(json), Oversized: false);
        var body = new ArrayBufferWriter<byte>();
        LocalAnswer answer = await _api.HandleAsync(call, body, default);
        return (answer, body.Text());
    }
}
