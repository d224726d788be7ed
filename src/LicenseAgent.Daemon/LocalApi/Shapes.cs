using System.Buffers;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Local;

namespace LicenseAgent.Daemon.LocalApi;

/// <summary>What a request must look like before its content counts; <see langword="null"/> when it does.</summary>
internal static class Shapes
{
    public static LocalAnswer? NotGet(in LocalCall call, IBufferWriter<byte> body) => call switch
    {
        { Method: not "GET" } => Problems.Write(Problems.MethodNotAllowed, body, allow: "GET"),
        { Oversized: true } => Problems.Write(Problems.TooLarge, body),
        _ => null,
    };

    public static LocalAnswer? NotJsonPost(in LocalCall call, IBufferWriter<byte> body) => NotPost(call, body)
        ?? (IsJson(call.ContentType) ? null : Problems.Write(Problems.UnsupportedMediaType, body));

    /// <summary>A call whose body may be left out.</summary>
    public static LocalAnswer? NotPost(in LocalCall call, IBufferWriter<byte> body) => call switch
    {
        { Method: not "POST" } => Problems.Write(Problems.MethodNotAllowed, body, allow: "POST"),
        { Oversized: true } => Problems.Write(Problems.TooLarge, body),
        { Body.Length: > 0 } when !IsJson(call.ContentType) => Problems.Write(Problems.UnsupportedMediaType, body),
        _ => null,
    };

    public static Problem Malformed(ProtocolException e) => Problems.BadRequest(
        e.Code switch
        {
            "json_missing" => "A required member is missing.",
            "json_unknown" => "There is no such member.",
            "json_duplicate" => "A member stands twice.",
            "json_depth" => "Nested too deeply.",
            "json_value" or "json_null" or "json_number" or "json_string" => "A value has not the form of its member.",
            _ => "The body is not JSON in UTF-8.",
        },
        e.Member);

    /// <summary>Parameters are tolerated: JSON is UTF-8 whatever they say; other bytes are refused as such.</summary>
    private static bool IsJson(string? contentType)
    {
        ReadOnlySpan<char> type = contentType.AsSpan();
        int parameters = type.IndexOf(';');
        return (parameters < 0 ? type : type[..parameters]).Trim()
            .Equals(LocalAnswer.Json, StringComparison.OrdinalIgnoreCase);
    }
}
