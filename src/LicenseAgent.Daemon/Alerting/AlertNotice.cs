using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Json;

namespace LicenseAgent.Daemon.Alerting;

/// <summary>
/// What a receiver is told of one alert: the body of the request, as JSON. Facts and remedies only; what the log may
/// not hold is not here either.
/// </summary>
/// <param name="Id">32 hex characters, the same over retries.</param>
/// <param name="Event"><c>alert_raised</c> or <c>alert_cleared</c>.</param>
/// <param name="AgentId">Empty before enrolment.</param>
/// <param name="Since">When it was raised, by trusted now.</param>
/// <param name="Time">When this happened, by trusted now.</param>
/// <param name="Dropped">Notices before this one that never arrived, because there were too many or they were too old.
/// </param>
internal sealed record AlertNotice(
    int Format, string Id, string Event, string Alert, string Severity, string Detail, string AgentId, UtcTime Since,
    UtcTime Time, long Dropped)
{
    public const string Raised = "alert_raised";
    public const string Cleared = "alert_cleared";
    public const int CurrentFormat = 1;

    public byte[] ToBody() => StrictJson.Write(this, AlertJsonContext.Strict.AlertNotice);

    /// <summary>
    /// <c>t=SECONDS,v1=HEX</c>: HMAC-SHA256 under the shared secret of the ASCII text <c>SECONDS.</c> and the body's
    /// bytes. A receiver refuses a time it does not believe, so that a copy is worth nothing later.
    /// </summary>
    public static string Sign(ReadOnlySpan<byte> secret, UtcTime time, ReadOnlySpan<byte> body)
    {
        string seconds = (time.UnixMs / 1000).ToString(CultureInfo.InvariantCulture);
        byte[] mac = HMACSHA256.HashData(secret, [.. Encoding.ASCII.GetBytes(seconds + "."), .. body]);
        return $"t={seconds},v1={Convert.ToHexStringLower(mac)}";
    }
}

[JsonSerializable(typeof(AlertNotice))]
internal sealed partial class AlertJsonContext : JsonSerializerContext
{
    public static AlertJsonContext Strict { get; } = new(StrictJson.RefuseUnknown());
}
