using System.Buffers;
using System.Globalization;
using System.Text.Json.Serialization.Metadata;
using LicenseAgent.Daemon.LocalApi.SignIn;
using LicenseAgent.Daemon.LocalApi.Validation;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Management;

namespace LicenseAgent.Daemon.LocalApi.Operators;

/// <summary>What a management call came to.</summary>
/// <param name="Failed">Answered in order, and the answer says that it did not work.</param>
/// <param name="Subject">Of a certificate that the call brought.</param>
internal readonly record struct ManagementOutcome(LocalAnswer Answer, bool Failed = false, string? Subject = null);

/// <summary>The parts of the agent that operators look into.</summary>
/// <param name="Metrics">Prometheus text.</param>
internal sealed record ManagementSources(
    AgentCommands Commands, RecentLicenses Recent, Func<string> Metrics, AuditSources Audit, ReloadCall Reload);

/// <summary>The audit log as it stands on disk.</summary>
/// <param name="Page">Records after a sequence number, at most so many; reads what it needs and no more.</param>
/// <param name="Verify">Reads the whole log, on the caller's thread.</param>
internal sealed record AuditSources(
    Func<long, int, AuditPage> Page, Func<CancellationToken, Task<AuditVerifyResponse>> Verify);

/// <summary>The calls of the management API, each for a caller whose role suffices.</summary>
internal sealed class ManagementCalls(LocalContext context, ManagementSources sources, SignInCalls signIn)
{
    private const string InvalidatePath =
        ManagementPaths.InvalidatePrefix + "{version}" + ManagementPaths.InvalidateSuffix;

    private const string MetricsType = "text/plain; version=0.0.4; charset=utf-8";

    // A verification reads up to the whole retention of the log: one at a time.
    private bool _verifying;

    private static ManagementAnswerJsonContext Answers => ManagementAnswerJsonContext.Wire;

    private static ManagementRequestJsonContext Requests => ManagementRequestJsonContext.Wire;

    /// <summary>Every call there is; the one place that says what role it needs.</summary>
    public IReadOnlyList<ManagementRoute> Routes =>
    [
        Look(ManagementPaths.Status, (_, into) =>
            Json(StatusViews.Status(context.Now(), sources.Recent), Answers.StatusResponse, into)),
        Look(ManagementPaths.Secrets, (_, into) =>
            Json(StatusViews.Secrets(context.Now()), Answers.SecretsResponse, into)),
        Look(ManagementPaths.Tpm, (_, into) => Json(context.Snapshot().Status.Tpm, Answers.TpmResponse, into)),
        Look(ManagementPaths.Clock, (_, into) =>
            Json(StatusViews.Clock(context.Now(), context.BootClock), Answers.ClockResponse, into)),
        Look(ManagementPaths.Metrics, (_, into) => Metrics(into)),
        Look(ManagementPaths.Audit, Audit),
        new("GET", ManagementPaths.AuditVerify, Role.Viewer, async (call, body, cancel) =>
            new(Shapes.NotGet(call, body) ?? await VerifyAsync(body, cancel))),
        Look(LocalPaths.Health, (_, into) => Health(into)),
        Look(LocalPaths.OpenApi, (_, into) => OpenApiDocument.Write(into)),
        new("POST", ManagementPaths.Enroll, Role.Admin, EnrollAsync),
        new("POST", ManagementPaths.Rotate, Role.Admin, RotateAsync),
        new("POST", InvalidatePath, Role.Admin, InvalidateAsync),
        new("POST", ManagementPaths.Degraded, Role.Admin, DegradedAsync),
        new("POST", ManagementPaths.Reload, Role.Admin, ReloadAsync),
        new("POST", ManagementPaths.Challenge, Role.None, (call, body, _) => new(new ManagementOutcome(
            signIn.Challenge(call, body)))),
        new("POST", ManagementPaths.Session, Role.None, (call, body, _) => new(signIn.Session(call, body))),
    ];

    /// <summary>The path that stands in <see cref="Routes"/> for the one called.</summary>
    public static string Named(string path) => VersionToInvalidate(path) is null ? path : InvalidatePath;

    private static ManagementRoute Look(string path, Func<LocalCall, IBufferWriter<byte>, LocalAnswer> look) => new(
        "GET", path, Role.Viewer,
        (call, body, _) => new(new ManagementOutcome(Shapes.NotGet(call, body) ?? look(call, body))));

    private LocalAnswer Metrics(IBufferWriter<byte> body)
    {
        body.Write(System.Text.Encoding.UTF8.GetBytes(sources.Metrics()));
        return new LocalAnswer(200, MetricsType);
    }

    private LocalAnswer Health(IBufferWriter<byte> body)
    {
        Moment now = context.Now();
        return HealthAnswer.Write(now.Snapshot, now.TrustedNow, context.Journal.Refusing(), body);
    }

    private LocalAnswer Audit(LocalCall call, IBufferWriter<byte> body)
    {
        if (!AuditQuery.TryParse(call.Query, out AuditQuery query))
            return Problems.Write(Problems.BadRequest(AuditQuery.Form, member: null), body);
        return Json(sources.Audit.Page(query.After, query.Limit), Answers.AuditPage, body);
    }

    private async ValueTask<LocalAnswer> VerifyAsync(IBufferWriter<byte> body, CancellationToken cancel)
    {
        if (Interlocked.Exchange(ref _verifying, true))
            return Problems.Write(Problems.Conflict("A verification of the log is running: wait for its end."), body);
        try
        {
            return Json(await sources.Audit.Verify(cancel), Answers.AuditVerifyResponse, body);
        }
        finally
        {
            Volatile.Write(ref _verifying, false);
        }
    }

    private async ValueTask<ManagementOutcome> EnrollAsync(
        LocalCall call, ArrayBufferWriter<byte> body, CancellationToken cancel)
    {
        if (Shapes.NotJsonPost(call, body) is { } refused)
            return new(refused);
        EnrollCall enroll = StrictJson.Read(call.Body.Span, Requests.EnrollCall);
        return Outcome(await sources.Commands.Enroll(enroll, cancel), Answers.EnrollOutcome, body);
    }

    private async ValueTask<ManagementOutcome> RotateAsync(
        LocalCall call, ArrayBufferWriter<byte> body, CancellationToken cancel)
    {
        if ((Shapes.NotPost(call, body) ?? NotEmpty(call, body)) is { } refused)
            return new(refused);
        CommandAnswer<RotateOutcome> answer = await sources.Commands.Rotate(cancel);
        return Outcome(answer, Answers.RotateOutcome, body) with { Failed = answer.Done is { Outcome: not "rotated" } };
    }

    private async ValueTask<ManagementOutcome> InvalidateAsync(
        LocalCall call, ArrayBufferWriter<byte> body, CancellationToken cancel)
    {
        if (Shapes.NotPost(call, body) is { } refused)
            return new(refused);
        long version = VersionToInvalidate(call.Path)
            ?? throw new Core.InvariantBroken($"{call.Path} came by the route of an invalidation.");
        bool force = call.Body.Length > 0 && StrictJson.Read(call.Body.Span, Requests.InvalidateCall).Force == true;
        return Outcome(await sources.Commands.Invalidate(version, force, cancel), Answers.InvalidateOutcome, body);
    }

    private async ValueTask<ManagementOutcome> DegradedAsync(
        LocalCall call, ArrayBufferWriter<byte> body, CancellationToken cancel)
    {
        if (Shapes.NotJsonPost(call, body) is { } refused)
            return new(refused);
        bool allowed = StrictJson.Read(call.Body.Span, Requests.DegradedCall).Allowed;
        return Outcome(await sources.Commands.Degraded(allowed, cancel), Answers.DegradedOutcome, body);
    }

    private async ValueTask<ManagementOutcome> ReloadAsync(
        LocalCall call, ArrayBufferWriter<byte> body, CancellationToken cancel)
    {
        if ((Shapes.NotPost(call, body) ?? NotEmpty(call, body)) is { } refused)
            return new(refused);
        CommandAnswer<ReloadOutcome> answer = await sources.Reload();
        bool refusedIt = answer.Done is { Outcome: not "reloaded" };
        return Outcome(answer, Answers.ReloadOutcome, body) with { Failed = refusedIt };
    }

    public static LocalAnswer? NotEmpty(in LocalCall call, IBufferWriter<byte> body) =>
        call.Body.Length > 0 && !call.Body.Span.Trim(" \t\r\n"u8).SequenceEqual("{}"u8)
            ? Problems.Write(Problems.BadRequest("This call has no members.", ""), body)
            : null;

    /// <summary>The version of <c>/v1/secrets/{version}/invalidate</c>, written as JSON writes it.</summary>
    private static long? VersionToInvalidate(string path)
    {
        if (!path.StartsWith(ManagementPaths.InvalidatePrefix, StringComparison.Ordinal)
            || !path.EndsWith(ManagementPaths.InvalidateSuffix, StringComparison.Ordinal))
        {
            return null;
        }
        int digits = path.Length - ManagementPaths.InvalidatePrefix.Length - ManagementPaths.InvalidateSuffix.Length;
        ReadOnlySpan<char> text = digits > 0 ? path.AsSpan(ManagementPaths.InvalidatePrefix.Length, digits) : [];
        return text is not ['0', ..]
            && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long version)
            && version <= SecretKid.MaxVersion
            ? version
            : null;
    }

    private static ManagementOutcome Outcome<T>(CommandAnswer<T> answer, JsonTypeInfo<T> type, IBufferWriter<byte> body)
        where T : class => answer switch
        {
            { Refused: { } refused } => new(Problems.Write(refused, body)),
            { Done: { } done } => new(Json(done, type, body)),
            _ => throw new Core.InvariantBroken("A command answers with an outcome or a refusal."),
        };

    private static LocalAnswer Json<T>(T value, JsonTypeInfo<T> type, IBufferWriter<byte> body)
    {
        body.Write(StrictJson.Write(value, type));
        return LocalAnswer.Ok;
    }
}
