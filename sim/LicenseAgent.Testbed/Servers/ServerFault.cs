using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using LicenseServer.Agents;
using Microsoft.AspNetCore.Http;

namespace LicenseAgent.Testbed.Servers;

/// <summary>How far the license server is with a request.</summary>
public enum ServerMoment
{
    /// <summary>The request has arrived; the server has not seen it.</summary>
    Received,

    /// <summary>What the request changed is durable; the answer has not left.</summary>
    Committed,

    /// <summary>The answer has left.</summary>
    Answered,
}

/// <summary>How an answer lies: the server has done its work, and this leaves instead.</summary>
public enum ServerMalice
{
    /// <summary>The answer before this one to the same agent and action; the true one while there is none.</summary>
    Replay,

    /// <summary>The latest answer to another agent for the same action; while there is none, this one signed for another.</summary>
    CrossAgent,

    /// <summary>What the answer says, without a signature.</summary>
    Unsigned,

    /// <summary>One bit of the answer is another.</summary>
    Flipped,

    /// <summary>More than an answer may have.</summary>
    Huge,

    /// <summary>Signed by the server's own key: a version below every one that was given out.</summary>
    Downgrade,

    /// <summary>Signed by the server's own key: more revocations than a list may have.</summary>
    RevokeStorm,
}

/// <summary>One fault around the license server: on which requests, from which occurrence, how often, what.</summary>
public sealed record ServerFault
{
    private static readonly JsonSerializerOptions s_json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault,
        Converters = { new JsonStringEnumConverter<ServerMalice>(JsonNamingPolicy.SnakeCaseLower, allowIntegerValues: false) },
    };

    /// <summary>A path, an action, or <c>*</c> for every request.</summary>
    public required string Match { get; init; }

    /// <summary>1 is the first matching request after the fault was set.</summary>
    public int Occurrence { get; init; } = 1;

    /// <summary>How many in sequence are hit from there; 0 is all.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public int Times { get; init; } = 1;

    /// <summary>Milliseconds to wait first.</summary>
    public int Delay { get; init; }

    /// <summary>Ends the connection without an answer.</summary>
    public bool Drop { get; init; }

    /// <summary>Answers with this status and <see cref="Body"/> instead of the server's answer.</summary>
    public int? Status { get; init; }

    public string Body { get; init; } = "";

    /// <summary>Sends this instead of the server's answer.</summary>
    public ServerMalice? Malice { get; init; }

    /// <summary>Strikes when the server has done its work, not before it sees the request.</summary>
    public bool AfterCommit { get; init; }

    /// <summary>Strikes when the answer is on its way; only a callback can do something then.</summary>
    public bool AfterAnswer { get; init; }

    [JsonIgnore]
    public ServerMoment Moment =>
        AfterAnswer ? ServerMoment.Answered
        : AfterCommit || Malice is not null ? ServerMoment.Committed
        : ServerMoment.Received;

    /// <summary>Reads a JSON array of <c>{"match": "check-in", "drop": true, "after_commit": true}</c>.</summary>
    public static IReadOnlyList<ServerFault> Parse(ReadOnlySpan<byte> json) =>
        JsonSerializer.Deserialize<List<ServerFault>>(json, s_json) ?? [];

    public string ToJson() => JsonSerializer.Serialize(this, s_json);

    internal bool Matches(string path) => Match == "*" || Match == path || Match == RequestShape.ActionOf(path);

    internal bool Hits(int seen) => seen >= Occurrence && (Times == 0 || seen < Occurrence + Times);
}

/// <summary>A fault in force. <see cref="Reached"/> is a barrier for tests; nothing has to be timed.</summary>
public sealed class ActiveServerFault
{
    private readonly Func<ServerMoment, Task>? _callback;
    private readonly TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _seen;

    internal ActiveServerFault(ServerFault fault, Func<ServerMoment, Task>? callback)
    {
        Fault = fault;
        _callback = callback;
    }

    public ServerFault Fault { get; }

    /// <summary>Completes when the fault has struck for the first time, its callback included.</summary>
    public Task Reached => _reached.Task;

    /// <summary>Matching requests since the fault was set, those it let pass included.</summary>
    public int Seen => Volatile.Read(ref _seen);

    internal bool Strikes(string path) => Fault.Matches(path) && Fault.Hits(Interlocked.Increment(ref _seen));

    /// <summary>Does what the fault says; true when the request has ended with it.</summary>
    internal async Task<bool> StrikeAsync(HttpContext context)
    {
        if (_callback is not null) await _callback(Fault.Moment);
        _reached.TrySetResult();
        if (Fault.Delay > 0) await Task.Delay(Fault.Delay, CancellationToken.None);
        if (Fault.Drop)
        {
            context.Abort();
            return true;
        }

        if (Fault.Status is not { } status || Fault.Moment == ServerMoment.Answered) return false;
        context.Response.Clear();
        context.Response.StatusCode = status;
        await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(Fault.Body), CancellationToken.None);
        return true;
    }
}
