using LicenseServer.Agents;
using Microsoft.AspNetCore.Http;

namespace LicenseServer.Http;

/// <summary>HTTP around <see cref="AgentApi"/>: reads a bounded body, sheds what would have to wait, writes the
/// answer.</summary>
internal sealed class AgentEndpoint(AgentApi api, Tally tally, int concurrentMax)
{
    private const string RequestType = "application/jose";
    private int _inFlight;

    public async Task HandleAsync(HttpContext context)
    {
        // Shed before the body is read: latency collapses when work is queued that nobody waits for any more.
        if (Interlocked.Increment(ref _inFlight) > concurrentMax)
        {
            Interlocked.Decrement(ref _inFlight);
            tally.Shed();
            await WriteAsync(context, AnswerWriter.Write(new Outcome.Unsigned(503, "busy") { RetryAfterS = 1 }));
            return;
        }

        try
        {
            await WriteAsync(context, await AnswerAsync(context));
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The agent went away; what was committed is kept, and its retry gets the same outcome.
        }
        finally
        {
            Interlocked.Decrement(ref _inFlight);
        }
    }

    private async Task<AgentReply> AnswerAsync(HttpContext context)
    {
        var request = context.Request;
        if (HttpMethods.IsPost(request.Method) && request.ContentType != RequestType)
            return AnswerWriter.Write(new Outcome.Unsigned(415, "the content type is " + RequestType));
        var call = new AgentCall(
            request.Method, request.Path.Value ?? "", request.QueryString.Value, request.ContentType,
            context.Connection.ClientCertificate, context.Connection.RemoteIpAddress?.ToString() ?? "",
            await ReadBodyAsync(request));
        return await api.HandleAsync(call);
    }

    // Kestrel's limit of 64 KiB ends longer bodies with 413, its minimum data rate slow ones with 408.
    private static async Task<ReadOnlyMemory<byte>> ReadBodyAsync(HttpRequest request)
    {
        using var body = new MemoryStream((int)Math.Min(request.ContentLength ?? 0, ServerApp.RequestBytesMax));
        await request.Body.CopyToAsync(body, request.HttpContext.RequestAborted);
        return body.GetBuffer().AsMemory(0, (int)body.Length);
    }

    private static async Task WriteAsync(HttpContext context, AgentReply reply)
    {
        var response = context.Response;
        response.StatusCode = reply.Status;
        response.ContentType = reply.ContentType;
        response.ContentLength = reply.Body.Length;
        response.Headers.CacheControl = "no-store";
        if (reply.RetryAfterS is { } seconds)
            response.Headers.RetryAfter = seconds.ToString(System.Globalization.CultureInfo.InvariantCulture);
        await response.Body.WriteAsync(reply.Body, context.RequestAborted);
    }
}
