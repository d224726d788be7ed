using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Management;
using LicenseAgent.UnitTests.Pki;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Xunit;

namespace LicenseAgent.UnitTests.Cli;

/// <summary>One call as the agent saw it.</summary>
internal sealed record SeenCall(string Method, string Target, string? ContentType, byte[] Body);

/// <summary>
/// Simulates the agent's two surfaces on one real Unix socket: reads the real request records strictly, writes the real
/// answer records, and records every management call in an audit log, as the agent does.
/// </summary>
internal sealed class FakeAgent : IAsyncDisposable
{
    private readonly ScratchDirectory directory = new();
    private readonly WebApplication app;
    private readonly List<string> log = [];

    private FakeAgent()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenUnixSocket(SocketPath));
        app = builder.Build();
        app.Run(AnswerAsync);
    }

    public string SocketPath => directory["agent.sock"];

    public string this[string file] => directory[file];

    public ConcurrentQueue<SeenCall> Calls { get; } = [];

    public StatusResponse Status { get; set; } = SampleAnswers.Status;

    public SecretsResponse Secrets { get; set; } = SampleAnswers.Secrets;

    public TpmResponse Tpm { get; set; } = SampleAnswers.Tpm;

    public ClockResponse Clock { get; set; } = SampleAnswers.Clock;

    public HealthResponse Health { get; set; } = SampleAnswers.Health;

    public string Metrics { get; set; } = SampleAnswers.Metrics;

    public RotateOutcome Rotation { get; set; } = new("rotated", 8, null);

    public AuditVerifyResponse Verification { get; set; } = SampleAnswers.GoodLog;

    /// <summary>What a valid token is answered, but for the nonce.</summary>
    public ValidateLicenseResponse Validation { get; set; } = SampleAnswers.ValidLicense;

    /// <summary>The last answer's body as it went out.</summary>
    public byte[] LastAnswer { get; private set; } = [];

    /// <summary>Answers every call instead; what Kestrel or the agent says before it looks at a request.</summary>
    public Func<SeenCall, (int Status, string? Type, byte[] Body)?> Instead { get; set; } = _ => null;

    /// <summary>Told when a call has been recorded, before it is answered.</summary>
    public Action<SeenCall> Recorded { get; set; } = _ => { };

    public static async Task<FakeAgent> StartAsync()
    {
        var agent = new FakeAgent();
        await agent.app.StartAsync(TestContext.Current.CancellationToken);
        return agent;
    }

    public async ValueTask DisposeAsync()
    {
        await app.DisposeAsync();
        directory.Dispose();
    }

    /// <summary>Appends a record of something else that happened.</summary>
    public void Happened(string name, string outcome = "ok", string details = "{}") =>
        Append(name, "null", """{"kind":"agent","uid":null,"gid":null,"pid":null,"role":null}""", outcome, details);

    public static byte[] Problem(int status, string code, string detail, string? member = null) => StrictJson.Write(
        new Problem("about:blank", "Title", status, code, detail, member), LocalAnswerJsonContext.Wire.Problem);

    private async Task AnswerAsync(HttpContext http)
    {
        using var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body, http.RequestAborted);
        string target = http.Request.Path + http.Request.QueryString;
        var call = new SeenCall(http.Request.Method, target, http.Request.ContentType, body.ToArray());
        Calls.Enqueue(call);
        (int status, string? type, byte[] answer) = Instead(call) ?? Answer(call, http.Request);
        if (http.Request.Path != LocalPaths.ValidateLicense)
            RecordCall(call, http.Request.Path, status);
        Recorded(call);
        LastAnswer = answer;
        http.Response.StatusCode = status;
        http.Response.ContentType = type;
        http.Response.ContentLength = answer.Length;
        await http.Response.Body.WriteAsync(answer, http.RequestAborted);
    }

    private (int Status, string? Type, byte[] Body) Answer(SeenCall call, HttpRequest request)
    {
        try
        {
            return (call.Method, request.Path.Value) switch
            {
                ("GET", ManagementPaths.Status) => Json(Status, Answers.StatusResponse),
                ("GET", ManagementPaths.Secrets) => Json(Secrets, Answers.SecretsResponse),
                ("GET", ManagementPaths.Tpm) => Json(Tpm, Answers.TpmResponse),
                ("GET", ManagementPaths.Clock) => Json(Clock, Answers.ClockResponse),
                ("GET", ManagementPaths.Metrics) =>
                    (200, "text/plain; version=0.0.4; charset=utf-8", Encoding.UTF8.GetBytes(Metrics)),
                ("GET", LocalPaths.Health) =>
                    Json(Health, Answers.HealthResponse) with { Item1 = Health.Status == "NOT_READY" ? 503 : 200 },
                ("GET", ManagementPaths.Audit) => Audit(request),
                ("GET", ManagementPaths.AuditVerify) => Json(Verification, Answers.AuditVerifyResponse),
                ("POST", ManagementPaths.Enroll) => Enroll(call.Body),
                ("POST", ManagementPaths.Rotate) => Json(Rotation, Answers.RotateOutcome),
                ("POST", LocalPaths.ValidateLicense) => Validate(call.Body),
                ("POST", { } path) when path.EndsWith(ManagementPaths.InvalidateSuffix, StringComparison.Ordinal) =>
                    Invalidate(path, call.Body),
                _ => (404, "application/problem+json", Problem(404, ProblemCodes.NotFound, "There is no such path.")),
            };
        }
        catch (ProtocolException e)
        {
            return (400, "application/problem+json", Problem(400, ProblemCodes.BadRequest, e.Code, e.Member));
        }
    }

    private static ManagementAnswerJsonContext Answers => ManagementAnswerJsonContext.Wire;

    private static (int, string?, byte[]) Json<T>(T value, JsonTypeInfo<T> type) =>
        (200, "application/json", StrictJson.Write(value, type));

    private (int, string?, byte[]) Audit(HttpRequest request)
    {
        long after = long.Parse(request.Query["after"].Single()!, CultureInfo.InvariantCulture);
        int limit = int.Parse(request.Query["limit"].Single()!, CultureInfo.InvariantCulture);
        string[] records;
        long? next;
        lock (log)
        {
            records = [.. log.Skip((int)Math.Min(after, log.Count)).Take(limit)];
            next = after + records.Length < log.Count ? after + records.Length : null;
        }
        string page = $"{{\"records\":[{string.Join(',', records)}],\"next\":{(next is { } n ? n : "null")}}}";
        return (200, "application/json", Encoding.UTF8.GetBytes(page));
    }

    private static (int, string?, byte[]) Enroll(byte[] body)
    {
        EnrollCall call = StrictJson.Read(body, ManagementRequestJsonContext.Wire.EnrollCall);
        return Json(new EnrollOutcome(call.Bundle.AgentId, SampleAnswers.Thumbprint, 0), Answers.EnrollOutcome);
    }

    private (int, string?, byte[]) Invalidate(string path, byte[] body)
    {
        long version = long.Parse(path.Split('/')[3], CultureInfo.InvariantCulture);
        bool force = body.Length > 0
            && StrictJson.Read(body, ManagementRequestJsonContext.Wire.InvalidateCall).Force == true;
        if (version > Status.ActiveSecret?.Version)
        {
            return (404, "application/problem+json", Problem(
                404, ProblemCodes.NotFound, $"Version {version} is not held. See license-agent-cli secrets."));
        }
        return version == Status.ActiveSecret?.Version && !force
            ? (409, "application/problem+json", Problem(
                409, ProblemCodes.Conflict,
                "Version 7 is the last usable secret; licenses stop until a rotation. Repeat with force."))
            : Json(new InvalidateOutcome(version, "INVALIDATED"), Answers.InvalidateOutcome);
    }

    private (int, string?, byte[]) Validate(byte[] body)
    {
        ValidateLicenseRequest request =
            StrictJson.Read(body, LocalRequestJsonContext.Wire.ValidateLicenseRequest);
        return Json(Validation with { Nonce = request.Nonce }, LocalAnswerJsonContext.Wire.ValidateLicenseResponse);
    }

    private void RecordCall(SeenCall call, string path, int status) => Append(
        "management_called", "null",
        $$"""{"kind":"operator","uid":0,"gid":0,"pid":{{Environment.ProcessId}},"role":"admin"}""",
        status < 400 ? "ok" : "refused",
        $$"""{"method":"{{call.Method}}","path":"{{path}}","status":{{status}}}""");

    private void Append(string name, string op, string actor, string outcome, string details)
    {
        lock (log)
        {
            string head = $$"""
                {"seq":{{log.Count + 1}},"time":"2026-11-03T09:00:00.000Z","up":1000,"boot":"b","event":"{{name}}",
                """;
            string tail = $$"""
                "op":{{op}},"actor":{{actor}},"outcome":"{{outcome}}","details":{{details}},"prev":"p","hash":"h"}
                """;
            log.Add(head + tail);
            using JsonDocument wellFormed = JsonDocument.Parse(log[^1]);
        }
    }
}
