using System.Security.Cryptography.X509Certificates;
using LicenseServer.Agents;
using LicenseServer.Http;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.TestHost;

namespace LicenseAgent.Testbed.Servers;

/// <summary>An answer of the license server as it would go over the wire.</summary>
public sealed record WireAnswer(int Status, string? ContentType, byte[] Body);

/// <summary>
/// The agent API of a license server under TestHost, with a <see cref="ServerFaults"/> around it: no port, no TLS, the
/// client's certificate is handed over. For what faults do to one request; <see cref="HostedLicenseServer"/> has the
/// rest.
/// </summary>
public sealed class InMemoryAgentApi : IAsyncDisposable
{
    private const int ConcurrentMax = 16;

    private readonly WebApplication _web;
    private readonly TestServer _host;

    private InMemoryAgentApi(WebApplication web) => (_web, _host) = (web, web.GetTestServer());

    /// <param name="server">Composed, perhaps not started; it stays the caller's to dispose of.</param>
    public static async Task<InMemoryAgentApi> StartAsync(
        ServerApp server, ServerFaults faults, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(server);
        ArgumentNullException.ThrowIfNull(faults);
        faults.ResponseKey = () => server.Store.Keys.Response;
        var endpoint = new AgentEndpoint(server.Api, new Tally(), ConcurrentMax);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseTestServer();
        var web = builder.Build();
        web.Use(next => context => faults.InvokeAsync(context, next));
        web.Run(endpoint.HandleAsync);
        await web.StartAsync(cancel);
        return new InMemoryAgentApi(web);
    }

    /// <exception cref="OperationCanceledException">The connection ended without an answer.</exception>
    public async Task<WireAnswer> PostAsync(
        string path, byte[] body, X509Certificate2? certificate, CancellationToken cancel)
    {
        var context = await _host.SendAsync(
            request =>
            {
                request.Request.Method = HttpMethods.Post;
                request.Request.Path = path;
                request.Request.ContentType = "application/jose";
                request.Request.Body = new MemoryStream(body, writable: false);
                request.Connection.ClientCertificate = certificate;
            },
            cancel);
        using var answer = new MemoryStream();
        await context.Response.Body.CopyToAsync(answer, cancel);
        return new WireAnswer(context.Response.StatusCode, context.Response.ContentType, answer.ToArray());
    }

    public ValueTask DisposeAsync() => _web.DisposeAsync();
}
