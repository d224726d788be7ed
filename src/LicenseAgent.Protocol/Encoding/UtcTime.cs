using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Json;

namespace LicenseAgent.Protocol.Encoding;

/// <summary>
/// An instant in milliseconds since 1970-01-01T00:00:00Z, years 0001 to 9999. Its text, in JSON too, is exactly
/// <c>YYYY-MM-DDTHH:MM:SS.mmmZ</c>. Arithmetic saturates at <see cref="MinValue"/> and <see cref="MaxValue"/>:
/// a deadline past the year 9999, which only a hostile or broken peer sends, must not overflow in a comparison.
/// </summary>
[JsonConverter(typeof(UtcTimeJson))]
public readonly record struct UtcTime : IComparable<UtcTime>
{
    /// <summary>Length of the text, in characters.</summary>
    public const int TextLength = 24;

    private const long MinMs = -62_135_596_800_000;
    private const long MaxMs = 253_402_300_799_999;

    /// <summary>Makes the instant; milliseconds outside the range of years throw.</summary>
    public UtcTime(long unixMs)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(unixMs, MinMs);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(unixMs, MaxMs);
        UnixMs = unixMs;
    }

    /// <summary>Milliseconds since 1970-01-01T00:00:00Z.</summary>
    public long UnixMs { get; }

    /// <summary>0001-01-01T00:00:00.000Z.</summary>
    public static UtcTime MinValue => new(MinMs);

    /// <summary>9999-12-31T23:59:59.999Z.</summary>
    public static UtcTime MaxValue => new(MaxMs);

    /// <summary>Whole seconds since 1970-01-01T00:00:00Z, rounded down: a NumericDate.</summary>
    public long UnixSeconds => (UnixMs - Remainder(UnixMs)) / 1000;

    /// <summary>The instant of a NumericDate, saturated.</summary>
    public static UtcTime FromUnixSeconds(long seconds) =>
        Saturated((Int128)seconds * 1000);

    /// <summary>The later of two instants.</summary>
    public static UtcTime Max(UtcTime a, UtcTime b) => a > b ? a : b;

    /// <summary>The earlier of two instants.</summary>
    public static UtcTime Min(UtcTime a, UtcTime b) => a < b ? a : b;

    /// <summary>Reads the 24-character text; any other form is false.</summary>
    public static bool TryParse(ReadOnlySpan<byte> ascii, out UtcTime time)
    {
        time = default;
        if (ascii.Length != TextLength || ascii[4] != '-' || ascii[7] != '-' || ascii[10] != 'T' || ascii[13] != ':'
            || ascii[16] != ':' || ascii[19] != '.' || ascii[23] != 'Z')
        {
            return false;
        }
        int year = Digits(ascii[..4]), month = Digits(ascii[5..7]), day = Digits(ascii[8..10]);
        int hour = Digits(ascii[11..13]), minute = Digits(ascii[14..16]), second = Digits(ascii[17..19]);
        int ms = Digits(ascii[20..23]);
        if (year < 1 || month is < 1 or > 12 || day < 1 || day > DateTime.DaysInMonth(year, month)
            || hour is < 0 or > 23 || minute is < 0 or > 59 || second is < 0 or > 59 || ms < 0)
        {
            return false;
        }
        var date = new DateTime(year, month, day, hour, minute, second, ms, DateTimeKind.Utc);
        time = new UtcTime((date.Ticks - DateTime.UnixEpoch.Ticks) / TimeSpan.TicksPerMillisecond);
        return true;
    }

    /// <inheritdoc cref="TryParse(ReadOnlySpan{byte}, out UtcTime)"/>
    public static bool TryParse(string? text, out UtcTime time)
    {
        time = default;
        Span<byte> ascii = stackalloc byte[TextLength];
        return text is { Length: TextLength }
            && System.Text.Ascii.FromUtf16(text, ascii, out _) == System.Buffers.OperationStatus.Done
            && TryParse(ascii, out time);
    }

    /// <summary>Writes the text as ASCII; the span must hold <see cref="TextLength"/> bytes.</summary>
    public void Format(Span<byte> ascii)
    {
        DateTime date = ToDateTime();
        Put(ascii[..4], date.Year);
        ascii[4] = (byte)'-';
        Put(ascii[5..7], date.Month);
        ascii[7] = (byte)'-';
        Put(ascii[8..10], date.Day);
        ascii[10] = (byte)'T';
        Put(ascii[11..13], date.Hour);
        ascii[13] = (byte)':';
        Put(ascii[14..16], date.Minute);
        ascii[16] = (byte)':';
        Put(ascii[17..19], date.Second);
        ascii[19] = (byte)'.';
        Put(ascii[20..23], date.Millisecond);
        ascii[23] = (byte)'Z';
    }

    /// <summary>The same instant for the BCL, of kind UTC.</summary>
    public DateTime ToDateTime() => DateTime.UnixEpoch.AddTicks(UnixMs * TimeSpan.TicksPerMillisecond);

    /// <summary>The instant of a BCL time, cut to milliseconds.</summary>
    public static UtcTime From(DateTimeOffset time) => new(time.ToUnixTimeMilliseconds());

    /// <summary>The 24-character text.</summary>
    public override string ToString()
    {
        Span<byte> ascii = stackalloc byte[TextLength];
        Format(ascii);
        return System.Text.Encoding.ASCII.GetString(ascii);
    }

    /// <inheritdoc/>
    public int CompareTo(UtcTime other) => UnixMs.CompareTo(other.UnixMs);

    /// <summary>Later by a span, cut to milliseconds towards zero, saturated.</summary>
    public static UtcTime operator +(UtcTime time, TimeSpan span) =>
        Saturated((Int128)time.UnixMs + (span.Ticks / TimeSpan.TicksPerMillisecond));

    /// <summary>Earlier by a span, cut to milliseconds towards zero, saturated.</summary>
    public static UtcTime operator -(UtcTime time, TimeSpan span) =>
        Saturated((Int128)time.UnixMs - (span.Ticks / TimeSpan.TicksPerMillisecond));

    /// <summary>The span from <paramref name="b"/> to <paramref name="a"/>.</summary>
    public static TimeSpan operator -(UtcTime a, UtcTime b) =>
        TimeSpan.FromTicks((a.UnixMs - b.UnixMs) * TimeSpan.TicksPerMillisecond);

    /// <summary>Whether the first is earlier.</summary>
    public static bool operator <(UtcTime a, UtcTime b) => a.UnixMs < b.UnixMs;

    /// <summary>Whether the first is later.</summary>
    public static bool operator >(UtcTime a, UtcTime b) => a.UnixMs > b.UnixMs;

    /// <summary>Whether the first is not later.</summary>
    public static bool operator <=(UtcTime a, UtcTime b) => a.UnixMs <= b.UnixMs;

    /// <summary>Whether the first is not earlier.</summary>
    public static bool operator >=(UtcTime a, UtcTime b) => a.UnixMs >= b.UnixMs;

    private static UtcTime Saturated(Int128 ms) => new((long)Int128.Clamp(ms, MinMs, MaxMs));

    private static long Remainder(long ms) => ((ms % 1000) + 1000) % 1000;

    private static int Digits(ReadOnlySpan<byte> ascii)
    {
        int value = 0;
        foreach (byte c in ascii)
        {
            if (c is < (byte)'0' or > (byte)'9')
                return -1;
            value = (value * 10) + (c - '0');
        }
        return value;
    }

    private static void Put(Span<byte> ascii, int value)
    {
        for (int i = ascii.Length - 1; i >= 0; i--, value /= 10)
            ascii[i] = (byte)('0' + (value % 10));
    }
}
