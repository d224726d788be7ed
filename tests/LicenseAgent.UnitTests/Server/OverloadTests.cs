using System.Net;
using System.Security.Cryptography.X509Certificates;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.UnitTests.Pki;
using LicenseServer.Agents;
using LicenseServer.Http;
using Microsoft.AspNetCore.Builder;
using Xunit;

namespace LicenseAgent.UnitTests.Server;

public sealed class OverloadTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_agent_that_asks_too_often_is_told_signed_how_long_to_wait()
    {
        await using var server = await ServerHarness.StartAsync(options => options with
        {
            RateLimit = new RateLimitOptions { PerMinute = 6, Burst = 3 },
        });
        var agent = await server.EnrolAsync();
        for (var i = 0; i < 3; i++) await agent.SendAsync<CheckInAnswer>(agent.CheckInRequest());
        var refusal = await agent.SendAsync<RefusalAnswer>(agent.CheckInRequest());
        Assert.Equal(("RATE_LIMITED", 10), (refusal.Error, refusal.RetryAfterS));
        server.Clock.Now += TimeSpan.FromSeconds(10);
        await agent.SendAsync<CheckInAnswer>(agent.CheckInRequest());
    }

    [Fact]
    public void Senders_do_not_share_a_bucket()
    {
        var limit = new RateLimit(new RateLimitOptions { PerMinute = 1, Burst = 1 }, new ManualClock(default));
        Assert.Equal(0, limit.Take("one"));
        Assert.Equal(0, limit.Take("two"));
        Assert.Equal(60, limit.Take("one"));
    }

    [Fact]
    public async Task Requests_beyond_the_concurrent_ones_are_shed_at_once()
    {
        await using var server = await ServerHarness.StartAsync(options => options with { ConcurrentRequestsMax = 1 });
        await server.App.StartAsync(Cancel);
        var agent = await server.EnrolAsync();
        using var client = AgentHttp.Client(server, agent.Certificate!.CopyWithPrivateKey(agent.TlsKey));
        using var go = new ManualResetEventSlim();
        var writer = server.Database.WriteAsync(session =>
        {
            go.Wait(Cancel);
            return true;
        });

        Task<HttpResponseMessage> PostAsync() => AgentHttp.PostAsync(
            client, server, AgentPaths.CheckIn, agent.Sign(agent.CheckInRequest()), Cancel);

        // The writer is held, so whichever request comes first cannot end before the other was shed.
        var one = PostAsync();
        var two = PostAsync();
        var firstDone = await Task.WhenAny(one, two);
        using var shed = await firstDone;
        Assert.Equal(HttpStatusCode.ServiceUnavailable, shed.StatusCode);
        Assert.Equal(TimeSpan.FromSeconds(1), shed.Headers.RetryAfter!.Delta);
        go.Set();
        Assert.True(await writer);
        using var served = await (firstDone == one ? two : one);
        Assert.Equal(HttpStatusCode.OK, served.StatusCode);
    }

    [Fact]
    public async Task Middleware_can_be_put_around_the_server()
    {
        await using var server = await ServerHarness.StartAsync();
        var seen = new List<string>();
        await server.App.DisposeAsync();
        await using var app = await ServerApp.CreateAsync(server.Options, server.Clock, around: web => web.Use(next =>
            context =>
            {
                seen.Add(context.Request.Path);
                return next(context);
            }));
        await app.StartAsync(Cancel);
        using var client = new HttpClient();
        Assert.Equal("ok\n", await client.GetStringAsync(new Uri(app.ManagementUrl, "/healthz"), Cancel));
        Assert.Equal(["/healthz"], seen);
    }
}
