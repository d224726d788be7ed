using System.Text.Json;
using System.Text.Json.Serialization;

namespace LicenseAgent.Testbed.Net;

/// <summary>Whether anything comes through at all.</summary>
public enum NetworkMode
{
    /// <summary>Passes both directions on.</summary>
    Pass,

    /// <summary>Connections are taken and nothing comes through: a partition.</summary>
    Blackhole,

    /// <summary>What the client sends arrives, what the server answers is lost.</summary>
    HalfOpen,

    /// <summary>Connections are closed at once.</summary>
    Refuse,
}

/// <summary>Which of the two ways through a network is damaged.</summary>
public enum NetworkWay
{
    /// <summary>What the server sends.</summary>
    Answers,

    /// <summary>What the client sends.</summary>
    Requests,

    /// <summary>Each way by itself.</summary>
    Both,
}

/// <summary>What a network does to what is sent through it. All zero: nothing.</summary>
public sealed record NetworkConditions
{
    /// <summary>More than this of any number is a slip of the pen, and a test that never ends.</summary>
    public const int Most = 1 << 30;

    private static readonly JsonSerializerOptions s_json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault,
        Converters =
        {
            new JsonStringEnumConverter<NetworkMode>(JsonNamingPolicy.KebabCaseLower, allowIntegerValues: false),
            new JsonStringEnumConverter<NetworkWay>(JsonNamingPolicy.KebabCaseLower, allowIntegerValues: false),
        },
    };

    public NetworkMode Mode { get; init; }

    /// <summary>Milliseconds that a piece is late, each way.</summary>
    public int LatencyMs { get; init; }

    /// <summary>Up to so many milliseconds more, evenly drawn.</summary>
    public int JitterMs { get; init; }

    /// <summary>Of each connection, each way.</summary>
    public int BytesPerSecond { get; init; }

    /// <summary>Pieces are passed on in slices of so many bytes.</summary>
    public int SliceBytes { get; init; }

    /// <summary>What <see cref="CorruptEvery"/>, <see cref="CloseAfterBytes"/> and <see cref="ResetAfterBytes"/> are
    /// about.</summary>
    public NetworkWay Damages { get; init; }

    /// <summary>Every so many bytes of a way that is damaged, one has its lowest bit flipped.</summary>
    public int CorruptEvery { get; init; }

    /// <summary>A connection ends in order when so many bytes of a way that is damaged have come through.</summary>
    public int CloseAfterBytes { get; init; }

    /// <summary>A connection is reset when so many bytes of a way that is damaged have come through.</summary>
    public int ResetAfterBytes { get; init; }

    /// <summary>A connection ends so many milliseconds after it was made, whatever it does.</summary>
    public int CloseAfterMs { get; init; }

    /// <summary>Reads <c>{"latency_ms": 300, "slice_bytes": 100}</c>.</summary>
    /// <exception cref="JsonException">It is no such object; the message names the member.</exception>
    public static NetworkConditions Parse(string json)
    {
        NetworkConditions read = JsonSerializer.Deserialize<NetworkConditions>(json, s_json)
            ?? throw new JsonException("The conditions of a network are a JSON object.");
        foreach ((string name, int value) in read.Numbers())
        {
            if (value is < 0 or > Most)
                throw new JsonException($"{name} is {value}; it must be from 0 to {Most}.");
        }

        return read;
    }

    public string ToJson() => JsonSerializer.Serialize(this, s_json);

    internal bool Damage(bool answers) => Damages == NetworkWay.Both || (Damages == NetworkWay.Answers) == answers;

    private IEnumerable<(string Name, int Value)> Numbers() =>
    [
        ("latency_ms", LatencyMs), ("jitter_ms", JitterMs), ("bytes_per_second", BytesPerSecond),
        ("slice_bytes", SliceBytes), ("corrupt_every", CorruptEvery), ("close_after_bytes", CloseAfterBytes),
        ("reset_after_bytes", ResetAfterBytes), ("close_after_ms", CloseAfterMs),
    ];
}
