using System.Buffers;
using System.Text;
using LicenseAgent.Daemon;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.LocalApi;
using LicenseAgent.Daemon.LocalApi.Peers;
using LicenseAgent.Daemon.LocalApi.Validation;
using LicenseAgent.Daemon.Loop;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.Replay;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Local;
using Xunit;

namespace LicenseAgent.UnitTests.Daemon.LocalApi;

public sealed class PosApiTests : IDisposable
{
    private static readonly PeerCredentials Peer = new(1001, 1001, 42);

    private readonly LocalBench _bench = new();
    private readonly BenchJournal _journal = new();
    private readonly RecentLicenses _recent = new();
    private readonly List<(string Reason, bool Valid)> _metered = [];
    private readonly PosApi _api;
    private ReplayVerdict _nonce = ReplayVerdict.Accepted;
    private int _noncesTried;
    private CommandAnswer<RenewedLicense> _renewal = new(new RenewedLicense("newer"), null);

    private readonly PeerAccess _access = PeerAccess.Of(Listing(1001, 1002));

    public PosApiTests()
    {
        ReplayVerdict Try(uint uid, Nonce16 nonce, long bootMs)
        {
            _noncesTried++;
            return _nonce;
        }

        _api = new PosApi(
            _bench.Context(_journal.Journal), _access, _bench.Validator(), new RateLimit(10, 20, _bench.Clock), Try, _recent,
            (reason, valid, _) => _metered.Add((reason, valid)),
            new LicenseRenewals((_, _) => Task.FromResult(_renewal), LocalBench.Tag));
    }

    public void Dispose() => _bench.Dispose();

    [Fact]
    public async Task Who_is_taken_off_the_list_while_connected_gets_no_further_answer()
    {
        _access.Use(Listing(1002));
        Assert.Equal(403, (await PostAsync(Request(_bench.Mint(LocalBench.Claims())))).Answer.Status);
    }

    private static PosConfig Listing(params uint[] uids) =>
        new("", uids, [], 10, 20, 64, 256, TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(60), 16_384, 8_192);

    [Fact]
    public async Task A_validation_is_recorded_metered_and_remembered()
    {
        await PostAsync(Request(_bench.Mint(LocalBench.Claims())));
        AuditedValidation record = Assert.Single(_journal.Validations);
        Assert.Equal((1001u, "VALID", "lic-1", 6), (record.Uid, record.Reason, record.LicenseId, record.SecretVersion));
        Assert.Equal(("VALID", true), Assert.Single(_metered));
        Assert.Equal(("lic-1", "VALID"), (Assert.Single(_recent.Views()).LicenseId, _recent.Views()[0].Reason));
    }

    [Fact]
    public async Task A_refused_validation_is_recorded_too()
    {
        await PostAsync(Request("x"u8.ToArray()));
        Assert.Equal(("INVALID_TOKEN", null), (_journal.Validations[0].Reason, _journal.Validations[0].LicenseId));
    }

    [Fact]
    public async Task A_renewed_license_comes_with_the_nonce_and_is_recorded_before()
    {
        (LocalAnswer answer, string body) = await RenewAsync(new('A', 22));
        Assert.Equal((200, $$"""{"license_token":"newer","nonce":"{{new string('A', 22)}}"}"""), (answer.Status, body));
        AuditEntry record = Assert.Single(_journal.Calls);
        Assert.Equal(("license_renewal", 1001L), (record.Event, record.Actor.Uid));
        Assert.Equal(["nonce", "token"], record.Details.Select(detail => detail.Key));
    }

    [Fact]
    public async Task A_renewal_uses_up_its_nonce_like_a_validation()
    {
        _nonce = ReplayVerdict.Replayed;
        Assert.Equal(409, (await RenewAsync(new('A', 22))).Answer.Status);
        Assert.Empty(_journal.Calls);
    }

    [Theory]
    [InlineData("no_contact", 503)]
    [InlineData("refused", 422)]
    public async Task A_license_that_is_not_renewed_says_why(string code, int status)
    {
        Problem why = CommandRefusals.OfRenewal(code == "refused" ? "refused" : "timeout", "REVOKED");
        _renewal = new(null, why);
        (LocalAnswer answer, string body) = await RenewAsync(new('A', 22));
        Assert.Equal(status, answer.Status);
        Assert.Contains($"\"code\":\"{code}\"", body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task No_answer_leaves_before_its_record_is_written()
    {
        _journal.HoldWrites = new TaskCompletionSource();
        Task<(LocalAnswer Answer, string Body)> answer = PostAsync(Request(_bench.Mint(LocalBench.Claims())));
        Assert.Single(_journal.Validations);
        Assert.False(answer.IsCompleted);
        _journal.HoldWrites.SetResult();
        Assert.Equal(200, (await answer).Answer.Status);
    }

    [Fact]
    public async Task Where_the_record_cannot_be_had_the_answer_is_503_and_tells_nothing()
    {
        _journal.Failure = new StorageException("disk_full", "no space");
        (LocalAnswer answer, string body) = await PostAsync(Request(_bench.Mint(LocalBench.Claims())));
        Assert.Equal(503, answer.Status);
        Assert.DoesNotContain("VALID", body, StringComparison.Ordinal);
        Assert.Contains(ProblemCodes.NotReady, body, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("""{"license_token":"x","nonce":"AAAAAAAAAAAAAAAAAAAAAB"}""")]
    [InlineData("""{"license_token":"x","nonce":"AAAAAAAAAAAAAAAAAAAAA="}""")]
    [InlineData("""{"license_token":1,"nonce":"AAAAAAAAAAAAAAAAAAAAAA"}""")]
    [InlineData("""{"license_token":null,"nonce":"AAAAAAAAAAAAAAAAAAAAAA"}""")]
    [InlineData("""{"license_token":"x","nonce":"AAAAAAAAAAAAAAAAAAAAAA","more":1}""")]
    [InlineData("""{"license_token":"x","license_token":"x","nonce":"AAAAAAAAAAAAAAAAAAAAAA"}""")]
    [InlineData("""{"license_token":"\ud800","nonce":"AAAAAAAAAAAAAAAAAAAAAA"}""")]
    [InlineData("""{"license_token":"\u0000","nonce":"AAAAAAAAAAAAAAAAAAAAAA"}""")]
    [InlineData("""{"license_token":"x","nonce":"AAAAAAAAAAAAAAAAAAAAAA"} x""")]
    [InlineData("""[{"license_token":"x","nonce":"AAAAAAAAAAAAAAAAAAAAAA"}]""")]
    public async Task A_request_of_another_shape_is_400_and_consumes_no_nonce(string json)
    {
        (LocalAnswer answer, string body) = await PostAsync(Encoding.UTF8.GetBytes(json));
        Assert.Equal((400, 0), (answer.Status, _noncesTried));
        Assert.Contains("\"code\":\"bad_request\"", body, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"license_token":"x"}""", "/nonce")]
    [InlineData("""{"license_token":"x","nonce":"AA"}""", "/nonce")]
    [InlineData("""{"license_token":"x","nonce":"AAAAAAAAAAAAAAAAAAAAAA","a/b":1}""", "/a~1b")]
    public async Task The_problem_points_at_the_member(string json, string pointer)
    {
        (_, string body) = await PostAsync(Encoding.UTF8.GetBytes(json));
        Assert.Contains($"\"member\":\"{pointer}\"", body, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"license_token":"TOKEN","nonce":"NONCE"}""")]
    [InlineData("""{"nonce":"NONCE","license_token":"TOKEN"}""")]
    [InlineData(" {\t\"nonce\" :\n\"NONCE\" , \"license_token\":\r\"TOKEN\" } \n")]
    [InlineData("""{"nonce":"NONCE","license_\u0074oken":"TOKEN"}""")]
    [InlineData("""{"nonce":"NONCE","license_token":"\u0065yJTAIL"}""")]
    public async Task A_request_may_be_written_in_any_way_that_JSON_knows(string shape)
    {
        string token = Encoding.ASCII.GetString(_bench.Mint(LocalBench.Claims()));
        string json = shape.Replace("TOKEN", token, StringComparison.Ordinal)
            .Replace("TAIL", token[3..], StringComparison.Ordinal)
            .Replace("NONCE", "AAAAAAAAAAAAAAAAAAAAAA", StringComparison.Ordinal);
        (_, string body) = await PostAsync(Encoding.UTF8.GetBytes(json));
        const string begin = """{"valid":true,"reason":"VALID","nonce":"AAAAAAAAAAAAAAAAAAAAAA",""";
        Assert.StartsWith(begin, body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_locked_memory_has_run_out_the_answer_is_503()
    {
        var taken = new List<LicenseAgent.Daemon.Secrets.SecretLease>();
        byte[] request = Request(_bench.Mint(LocalBench.Claims()));
        void TakeAll()
        {
            while (true)
                taken.Add(_bench.Memory.Scratch());
        }

        Assert.Throws<StorageException>(TakeAll);
        Assert.Equal(503, (await PostAsync(request)).Answer.Status);
        taken.ForEach(lease => lease.Dispose());
        Assert.Equal(200, (await PostAsync(request)).Answer.Status);
    }

    [Fact]
    public async Task A_replayed_nonce_is_409_and_noted()
    {
        _nonce = ReplayVerdict.Replayed;
        (LocalAnswer answer, _) = await PostAsync(Request(_bench.Mint(LocalBench.Claims())));
        Assert.Equal((409, "nonce_replayed"), (answer.Status, Assert.Single(_journal.Notes).Event));
        Assert.Empty(_journal.Validations);
    }

    [Fact]
    public async Task A_full_nonce_store_is_429_with_a_time()
    {
        _nonce = ReplayVerdict.Full;
        (LocalAnswer answer, _) = await PostAsync(Request(_bench.Mint(LocalBench.Claims())));
        Assert.Equal((429, 30), (answer.Status, answer.RetryAfterSeconds));
    }

    [Fact]
    public async Task The_nonce_is_checked_before_the_mode()
    {
        _nonce = ReplayVerdict.Replayed;
        _bench.Snapshot = _bench.Snapshot with { Mode = _bench.Snapshot.Mode with { ValidUntil = null } };
        Assert.Equal(409, (await PostAsync(Request("x"u8.ToArray()))).Answer.Status);
    }

    [Fact]
    public async Task The_rate_comes_before_the_shape_of_a_request()
    {
        for (int i = 0; i < 20; i++)
            await PostAsync("{}"u8.ToArray());
        (LocalAnswer answer, _) = await PostAsync("{}"u8.ToArray());
        Assert.Equal((429, 1), (answer.Status, answer.RetryAfterSeconds));
    }

    [Fact]
    public async Task Only_a_refusal_for_its_rate_is_kept_back()
    {
        LocalAnswer answer = (await PostAsync("{}"u8.ToArray())).Answer;
        Assert.Equal((400, TimeSpan.Zero), (answer.Status, answer.Hold));
        while (answer.Status != 429)
            answer = (await PostAsync("{}"u8.ToArray())).Answer;
        Assert.Equal(PosApi.RefusalHold, answer.Hold);
    }

    [Theory]
    [InlineData("NORMAL", 200, "READY")]
    [InlineData("DEGRADED", 200, "DEGRADED")]
    [InlineData("EXHAUSTED", 503, "NOT_READY")]
    [InlineData("no active secret", 503, "NOT_READY")]
    [InlineData("records refused", 503, "NOT_READY")]
    public async Task Health_tells_whether_a_validation_can_succeed(string what, int status, string word)
    {
        _bench.Pass((long)(what switch
        {
            "DEGRADED" => LocalBench.Day,
            "EXHAUSTED" => 8 * LocalBench.Day,
            _ => TimeSpan.Zero,
        }).TotalMilliseconds);
        if (what == "no active secret")
            _bench.Snapshot = _bench.Snapshot with { Active = null };
        _journal.Refusing = what == "records refused";
        (LocalAnswer answer, string body) = await CallAsync("GET", LocalPaths.Health, default);
        Assert.Equal(status, answer.Status);
        Assert.StartsWith($$"""{"status":"{{word}}",""", body, StringComparison.Ordinal);
    }

    private static byte[] Request(byte[] token) => Encoding.ASCII.GetBytes(
        $$"""{"license_token":"{{Encoding.ASCII.GetString(token)}}","nonce":"AAAAAAAAAAAAAAAAAAAAAA"}""");

    private Task<(LocalAnswer Answer, string Body)> PostAsync(byte[] json) =>
        CallAsync("POST", LocalPaths.ValidateLicense, json);

    private Task<(LocalAnswer Answer, string Body)> RenewAsync(string nonce) => CallAsync(
        "POST", LocalPaths.RenewLicense,
        Encoding.ASCII.GetBytes($$"""{"license_token":"old","nonce":"{{nonce}}"}"""));

    private async Task<(LocalAnswer Answer, string Body)> CallAsync(
        string method, string path, ReadOnlyMemory<byte> json)
    {
        const string type = "application/json; charset=utf-8";
        var body = new ArrayBufferWriter<byte>();
        LocalAnswer answer = await _api.HandleAsync(
            new LocalCall(Peer, method, path, "", type, json, Oversized: false), body, default);
        return (answer, body.Text());
    }
}
