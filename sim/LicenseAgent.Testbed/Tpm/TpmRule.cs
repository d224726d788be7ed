using System.Text.Json;
using System.Text.Json.Serialization;

namespace LicenseAgent.Testbed.Tpm;

/// <summary>What the proxy does to a command or its answer.</summary>
[JsonConverter(typeof(TpmFaultConverter))]
public enum TpmFault
{
    /// <summary>Keeps the command until it is released: a TPM that hangs and may wake up.</summary>
    Hang,

    /// <summary>Closes the client's connection; the TPM never sees the command.</summary>
    DropBefore,

    /// <summary>Lets the TPM execute the command and closes the connection instead of answering.</summary>
    DropAfter,

    /// <summary>Answers with <see cref="TpmRule.Rc"/>; the TPM never sees the command.</summary>
    Answer,

    /// <summary>Waits <see cref="TpmRule.DelayMs"/> before passing the command on: a slow TPM.</summary>
    Delay,

    /// <summary>
    /// Flips <see cref="TpmRule.Mask"/> in the answer's byte at <see cref="TpmRule.Offset"/> (modulo its length).
    /// </summary>
    Corrupt,

    /// <summary>Cuts the answer to <see cref="TpmRule.Offset"/> bytes and leaves its stated size as it was.</summary>
    Truncate,

    /// <summary>Calls back before the command goes to the TPM; not a fault that can be told as data.</summary>
    CallBefore,

    /// <summary>Calls back when the TPM has executed it, before the client has the answer; not as data either.</summary>
    CallAfter,
}

/// <summary>One fault: on which command, from which occurrence since the rule was set, how often.</summary>
public sealed record TpmRule
{
    private static readonly JsonSerializerOptions s_json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault,
    };

    public TpmCommand On { get; init; } = TpmCommand.Any;

    /// <summary>1 is the first matching command after the rule was set.</summary>
    public int Occurrence { get; init; } = 1;

    /// <summary>How many in sequence are hit from there; 0 is all.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public int Times { get; init; } = 1;

    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public required TpmFault Fault { get; init; }

    public uint Rc { get; init; }

    public int DelayMs { get; init; }

    public int Offset { get; init; }

    public byte Mask { get; init; }

    /// <summary>Reads a JSON array of <c>{"on": "NV_Increment", "fault": "hang", …}</c>.</summary>
    /// <exception cref="JsonException">It is no such array; the message names the member.</exception>
    public static IReadOnlyList<TpmRule> Parse(ReadOnlySpan<byte> json)
    {
        List<TpmRule?> rules = JsonSerializer.Deserialize<List<TpmRule?>>(json, s_json) ?? [];
        return [.. rules.Select(Checked)];
    }

    public string ToJson() => JsonSerializer.Serialize(this, s_json);

    internal bool Hits(int seen) => seen >= Occurrence && (Times == 0 || seen - Occurrence < Times);

    private static TpmRule Checked(TpmRule? rule)
    {
        if (rule is null)
            throw new JsonException("A rule of the TPM is a JSON object.");
        if (rule.Fault is TpmFault.CallBefore or TpmFault.CallAfter)
            throw new JsonException("fault call_before or call_after is for code: nobody is called back by data.");
        (string Name, int Value, int Least)[] numbers =
        [
            ("occurrence", rule.Occurrence, 1), ("times", rule.Times, 0), ("delay_ms", rule.DelayMs, 0),
            ("offset", rule.Offset, 0),
        ];
        foreach ((string name, int value, int least) in numbers)
        {
            if (value < least)
                throw new JsonException($"{name} is {value}; it must be from {least} on.");
        }

        return rule;
    }
}

/// <summary>Fault names as the files write them: <c>drop_after</c>.</summary>
internal sealed class TpmFaultConverter()
    : JsonStringEnumConverter<TpmFault>(JsonNamingPolicy.SnakeCaseLower, allowIntegerValues: false);

/// <summary>The moment at which a rule struck: which command, and whether the TPM has executed it.</summary>
public sealed record TpmMoment(TpmCommand Command, uint Code, bool Executed);

/// <summary>A rule in force. <see cref="Reached"/> is a barrier for tests; nothing has to be timed.</summary>
public sealed class ActiveTpmRule
{
    private readonly Func<TpmMoment, Task>? _callback;
    private readonly TaskCompletionSource<TpmMoment> _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _seen;

    internal ActiveTpmRule(TpmRule rule, Func<TpmMoment, Task>? callback)
    {
        Rule = rule;
        _callback = callback;
    }

    public TpmRule Rule { get; }

    /// <summary>Completes when the rule strikes for the first time.</summary>
    public Task<TpmMoment> Reached => _reached.Task;

    /// <summary>Matching commands since the rule was set, those it let pass included.</summary>
    public int Seen => Volatile.Read(ref _seen);

    /// <summary>Lets a held command go on to the TPM, and all that would be held after it.</summary>
    public void Release() => _released.TrySetResult();

    /// <summary>Counts a command; the proxy asks once per command and rule, one command at a time.</summary>
    internal bool Strikes(TpmCommand command) =>
        (Rule.On == TpmCommand.Any || Rule.On == command) && Rule.Hits(Interlocked.Increment(ref _seen));

    internal async Task StrikeAsync(TpmMoment moment, CancellationToken cancellationToken)
    {
        _reached.TrySetResult(moment);
        if (_callback is not null) await _callback(moment);
        if (Rule.Fault == TpmFault.Hang) await _released.Task.WaitAsync(cancellationToken);
        if (Rule.Fault == TpmFault.Delay) await Task.Delay(Rule.DelayMs, cancellationToken);
    }
}
