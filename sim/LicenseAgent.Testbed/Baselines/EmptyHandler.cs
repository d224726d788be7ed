using System.IO.Pipelines;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace LicenseAgent.Testbed.Baselines;

/// <summary>
/// What the agent is compared with, in a process of its own: Kestrel on a Unix socket, composed as the agent composes
/// it, that reads the body and writes a fixed answer of the same length.
/// </summary>
public sealed class EmptyHandler(int answerBytes) : IHttpApplication<IFeatureCollection>
{
    public const string Command = "empty-handler";
    public const string Ready = "empty_handler_ready";

    private readonly byte[] _answer = [.. Enumerable.Repeat((byte)' ', answerBytes)];

    /// <summary>Serves until it is killed.</summary>
    public static async Task<int> RunAsync(string socket, int answerBytes)
    {
        var options = new KestrelServerOptions { AddServerHeader = false, AllowSynchronousIO = false };
        options.ListenUnixSocket(socket, listen => listen.Protocols = HttpProtocols.Http1);
        using var server = new KestrelServer(
            Options.Create(options),
            new SocketTransportFactory(Options.Create(new SocketTransportOptions()), NullLoggerFactory.Instance),
            NullLoggerFactory.Instance);
        await server.StartAsync(new EmptyHandler(answerBytes), CancellationToken.None);
        Console.WriteLine(Ready);
        await Task.Delay(Timeout.Infinite);
        return 0;
    }

    public IFeatureCollection CreateContext(IFeatureCollection contextFeatures) => contextFeatures;

    public void DisposeContext(IFeatureCollection context, Exception? exception)
    {
    }

    public async Task ProcessRequestAsync(IFeatureCollection context)
    {
        PipeReader reader = context.GetRequiredFeature<IRequestBodyPipeFeature>().Reader;
        int length = (int)context.GetRequiredFeature<IHttpRequestFeature>().Headers.ContentLength.GetValueOrDefault();
        ReadResult body = await reader.ReadAtLeastAsync(length);
        reader.AdvanceTo(body.Buffer.End);
        IHttpResponseFeature response = context.GetRequiredFeature<IHttpResponseFeature>();
        response.StatusCode = 200;
        response.Headers.ContentType = "application/json";
        response.Headers.ContentLength = _answer.Length;
        await context.GetRequiredFeature<IHttpResponseBodyFeature>().Writer.WriteAsync(_answer);
    }
}
