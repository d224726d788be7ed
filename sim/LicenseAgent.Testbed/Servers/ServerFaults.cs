using System.Text.Json;
using LicenseAgent.Testbed.Net;
using LicenseServer.Keys;
using Microsoft.AspNetCore.Http;

namespace LicenseAgent.Testbed.Servers;

/// <summary>
/// Stands around the real license server and does to requests and answers what its faults say. Where the server's work
/// is to be kept and its answer not, the answer is held back until the work is durable.
/// </summary>
public sealed class ServerFaults
{
    private const int FaultsMax = 64;

    private readonly List<ActiveServerFault> _faults = [];
    private readonly AnswerForger _forger = new();
    private readonly Lock _gate = new();

    /// <summary>The key that answers are signed with, for lies that are signed.</summary>
    internal Func<SigningKey>? ResponseKey
    {
        set
        {
            lock (_gate) _forger.ResponseKey = value;
        }
    }

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

    /// <summary>Answers a line of a <see cref="ControlSocket"/>: empty asks, a JSON array of faults replaces those in
    /// force.</summary>
    /// <returns>A JSON array of what is in force.</returns>
    public string Tell(string line)
    {
        ArgumentNullException.ThrowIfNull(line);
        try
        {
            if (line.Length > 0)
                Replace(ServerFault.Parse(System.Text.Encoding.UTF8.GetBytes(line)));
            lock (_gate)
                return $"[{string.Join(',', _faults.Select(f => f.Fault.ToJson()))}]";
        }
        catch (JsonException e)
        {
            return ControlSocket.Refusal + e.Message.ReplaceLineEndings(" ");
        }
    }

    /// <summary>Puts the faults of a file in force, an array as <see cref="Tell"/> takes it.</summary>
    /// <exception cref="FormatException">It cannot be read, or holds no faults; the message names it and says why.
    /// </exception>
    public void Load(string path)
    {
        try
        {
            Replace(ServerFault.Parse(File.ReadAllBytes(path)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new FormatException($"The faults of {path} cannot be taken: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }

    private void Replace(IReadOnlyList<ServerFault> faults)
    {
        if (faults.Count > FaultsMax)
            throw new JsonException($"{faults.Count} faults are too many; at most {FaultsMax}.");
        lock (_gate)
        {
            _faults.Clear();
            _faults.AddRange(faults.Select(f => new ActiveServerFault(f, callback: null)));
        }
    }

    internal async Task InvokeAsync(HttpContext context, RequestDelegate server)
    {
        var striking = Striking(context.Request.Path.Value ?? "");
        if (await StrikeAsync(striking, ServerMoment.Received, context)) return;
        using var held = new MemoryStream();
        var wire = context.Response.Body;
        context.Response.Body = held;
        await server(context);
        context.Response.Body = wire;
        byte[] answer = held.ToArray();
        var path = context.Request.Path.Value ?? "";
        lock (_gate) _forger.Keep(path, answer);
        if (await StrikeAsync(striking, ServerMoment.Committed, context)) return;
        if (striking.Find(f => f.Fault.Malice is not null) is { Fault.Malice: { } malice } liar)
        {
            lock (_gate) answer = _forger.Forge(malice, path, answer, liar.Seen);
            context.Response.ContentLength = answer.Length;
        }

        await wire.WriteAsync(answer, CancellationToken.None);
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
