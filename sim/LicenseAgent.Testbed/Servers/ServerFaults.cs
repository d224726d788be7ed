using Microsoft.AspNetCore.Http;

namespace LicenseAgent.Testbed.Servers;

/// <summary>
/// Stands around the real license server and does to requests and answers what its faults say. Where the server's work
/// is to be kept and its answer not, the answer is held back until the work is durable.
/// </summary>
public sealed class ServerFaults
{
    private readonly List<ActiveServerFault> _faults = [];
    private readonly Lock _gate = new();

    /// <summary>Puts a fault in force. The callback is awaited each time it strikes, with the request standing
    /// still.</summary>
    public ActiveServerFault Add(ServerFault fault, Func<ServerMoment, Task>? callback = null)
    {
        var active = new ActiveServerFault(fault, callback);
        lock (_gate) _faults.Add(active);
        return active;
    }

    /// <summary>Removes all faults; those that are striking go on.</summary>
    public void Heal()
    {
        lock (_gate) _faults.Clear();
    }

    internal async Task InvokeAsync(HttpContext context, RequestDelegate server)
    {
        var striking = Striking(context.Request.Path.Value ?? "");
        if (await StrikeAsync(striking, ServerMoment.Received, context)) return;
        if (striking.TrueForAll(f => f.Fault.Moment == ServerMoment.Received))
        {
            await server(context);
            return;
        }

        using var held = new MemoryStream();
        var wire = context.Response.Body;
        context.Response.Body = held;
        await server(context);
        context.Response.Body = wire;
        if (await StrikeAsync(striking, ServerMoment.Committed, context)) return;
        held.Position = 0;
        await held.CopyToAsync(wire, CancellationToken.None);
        await context.Response.CompleteAsync();
        await StrikeAsync(striking, ServerMoment.Answered, context);
    }

    private static async Task<bool> StrikeAsync(
        List<ActiveServerFault> striking, ServerMoment moment, HttpContext context)
    {
        foreach (var fault in striking)
        {
            if (fault.Fault.Moment == moment && await fault.StrikeAsync(context)) return true;
        }

        return false;
    }

    // Every fault counts every request, also when another one strikes first.
    private List<ActiveServerFault> Striking(string path)
    {
        lock (_gate) return _faults.FindAll(f => f.Strikes(path));
    }
}
