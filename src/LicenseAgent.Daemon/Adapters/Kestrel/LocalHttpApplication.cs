using System.Buffers;
using System.IO.Pipelines;
using LicenseAgent.Core;
using LicenseAgent.Daemon.LocalApi;
using LicenseAgent.Protocol.Local;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Abstractions;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace LicenseAgent.Daemon.Adapters.Kestrel;

/// <summary>What one connection uses again for each of its requests, one at a time.</summary>
internal sealed class LocalConnection
{
    // An audit page may grow the buffer to a megabyte; an idle connection must not sit on it.
    private const int KeptBytesMax = 64 * 1024;

    public required IFeatureCollection Features { get; set; }

    public ArrayBufferWriter<byte> Answer { get; private set; } = new(4096);

    public void Reset()
    {
        if (Answer.Capacity > KeptBytesMax)
            Answer = new ArrayBufferWriter<byte>(4096);
        else
            Answer.ResetWrittenCount();
    }
}

/// <summary>Kestrel's requests as <see cref="LocalCall"/>s: no hosting, no routing, no middleware between.</summary>
internal sealed class LocalHttpApplication(
    LocalHandler handler, int requestBytesMax, TimeProvider time, Action<InvariantBroken> broken)
    : IHttpApplication<LocalConnection>
{
    public LocalConnection CreateContext(IFeatureCollection contextFeatures)
    {
        if (contextFeatures is not IHostContextContainer<LocalConnection> container)
            return new LocalConnection { Features = contextFeatures };
        if (container.HostContext is { } known)
        {
            known.Features = contextFeatures;
            return known;
        }
        return container.HostContext = new LocalConnection { Features = contextFeatures };
    }

    public void DisposeContext(LocalConnection context, Exception? exception) => context.Reset();

    public async Task ProcessRequestAsync(LocalConnection context)
    {
        IFeatureCollection features = context.Features;
        try
        {
            await AnswerAsync(
                features.GetRequiredFeature<IHttpRequestFeature>(),
                features.GetRequiredFeature<IRequestBodyPipeFeature>().Reader,
                features.GetRequiredFeature<AdmittedPeer>(), context);
        }
        catch (Exception e) when (e is ConnectionResetException or ConnectionAbortedException)
        {
            // The peer went away; there is nobody to answer.
        }
        catch (InvariantBroken e)
        {
            // Anything else that a handler lets through is logged by Kestrel and answered 500: no bytes on a socket may
            // end the process. This tells that the process contradicts itself.
            broken(e);
            throw;
        }
    }

    private async Task AnswerAsync(
        IHttpRequestFeature request, PipeReader reader, AdmittedPeer peer, LocalConnection context)
    {
        ReadResult body = await ReadBodyAsync(request, reader);
        Begin(peer);
        try
        {
            await AnswerAsync(request, reader, peer, body, context);
        }
        finally
        {
            peer.Slot?.End();
        }
    }

    private async Task AnswerAsync(
        IHttpRequestFeature request, PipeReader reader, AdmittedPeer peer, ReadResult body, LocalConnection context)
    {
        IFeatureCollection features = context.Features;
        bool oversized = !body.IsCompleted || body.Buffer.Length > requestBytesMax;
        var call = new LocalCall(
            peer.Credentials, request.Method, request.Path, request.QueryString,
            request.Headers.ContentType, oversized ? default : Contiguous(body.Buffer), oversized, peer.Connection,
            request.Headers.Authorization, peer.Certificate, peer.Intermediates);
        CancellationToken aborted = features.GetRequiredFeature<IHttpRequestLifetimeFeature>().RequestAborted;
        LocalAnswer answer = await handler(call, context.Answer, aborted);
        if (answer.Hold > TimeSpan.Zero)
            await HoldAsync(answer.Hold, peer, aborted);
        if (!oversized)
            reader.AdvanceTo(body.Buffer.End);
        peer.Slot?.Send();
        await SendAsync(answer, context);
    }

    private static void Begin(AdmittedPeer peer)
    {
        if (peer.Slot is { } slot && !slot.TryBegin())
            throw new ConnectionAbortedException("Its place was given to a user with fewer connections.");
    }

    private async Task HoldAsync(TimeSpan hold, AdmittedPeer peer, CancellationToken aborted)
    {
        peer.Slot?.End();
        await Task.Delay(hold, time, aborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        Begin(peer);
    }

    /// <summary>Completed: the whole body. Not completed: it is over the limit.</summary>
    private async ValueTask<ReadResult> ReadBodyAsync(IHttpRequestFeature request, PipeReader reader)
    {
        if (request.Headers.ContentLength is { } announced and not 0)
        {
            if (announced > requestBytesMax)
                return new ReadResult(default, isCanceled: false, isCompleted: false);
            ReadResult all = await reader.ReadAtLeastAsync((int)announced);

            // A stop wakes whoever reads. What of the request is still on its way is waited for all the same; the
            // server cuts the connection when the time to drain is over.
            while (all.Buffer.Length < announced)
            {
                reader.AdvanceTo(all.Buffer.Start, all.Buffer.End);
                all = await reader.ReadAtLeastAsync((int)announced);
            }

            return new ReadResult(all.Buffer, isCanceled: false, isCompleted: true);
        }

        ReadResult read = await reader.ReadAtLeastAsync(requestBytesMax + 1);
        if (read.Buffer.Length > requestBytesMax)
        {
            reader.AdvanceTo(read.Buffer.End);
            return new ReadResult(default, isCanceled: false, isCompleted: false);
        }
        return read;
    }

    private static ReadOnlyMemory<byte> Contiguous(ReadOnlySequence<byte> body) =>
        body.IsSingleSegment ? body.First : body.ToArray();

    private static async Task SendAsync(LocalAnswer answer, LocalConnection context)
    {
        IHttpResponseFeature response = context.Features.GetRequiredFeature<IHttpResponseFeature>();
        response.StatusCode = answer.Status;
        IHeaderDictionary headers = response.Headers;
        headers.ContentType = answer.ContentType;
        headers.ContentLength = context.Answer.WrittenCount;
        if (answer.RetryAfterSeconds > 0)
            headers.RetryAfter = answer.RetryAfterSeconds.ToString(System.Globalization.CultureInfo.InvariantCulture);
        if (answer.Allow is not null)
            headers.Allow = answer.Allow;
        if (answer.Status == StatusCodes.Status401Unauthorized)
            headers.WWWAuthenticate = "Bearer";
        IHttpResponseBodyFeature into = context.Features.GetRequiredFeature<IHttpResponseBodyFeature>();
        await into.Writer.WriteAsync(context.Answer.WrittenMemory);
    }
}
