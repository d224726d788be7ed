using System.Buffers;
using System.IO.Pipelines;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using LicenseAgent.Daemon.LocalApi;
using LicenseAgent.Daemon.LocalApi.Peers;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Protocol.Local;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace LicenseAgent.Daemon.Adapters.Kestrel;

/// <summary>The peer of a connection that was let in; requests find it among the connection's features.</summary>
/// <param name="Certificate">Over HTTPS alone; it belongs to the connection.</param>
/// <param name="Slot">Its place at the gate; <see langword="null"/> where connections are not counted.</param>
internal sealed record AdmittedPeer(
    PeerCredentials Credentials, X509Certificate2? Certificate = null, X509Certificate2Collection? Intermediates = null,
    ConnectionSlot? Slot = null)
{
    private static long s_last;

    /// <summary>A number that no other connection of this process has.</summary>
    public long Connection { get; } = Interlocked.Increment(ref s_last);
}

/// <summary>
/// Connection middleware: decides about a peer before a byte of it is parsed. Whom it turns away gets one constant
/// answer.
/// </summary>
internal sealed class PeerFilter(
    ConnectionGate gate, Action<PeerCredentials, Admission> turnedAway, int ownProcess, TimeProvider time)
{
    // A peer that is still sending when the other side closes loses the answer (EPIPE), so unread input is discarded
    // until the peer closes: up to these bounds, for so many peers at a time; further ones are cut off at once.
    private const int DiscardBytesMax = 64 * 1024;
    private static readonly TimeSpan DiscardTimeMax = TimeSpan.FromSeconds(1);
    private const int DiscardingMax = 64;

    private static readonly byte[] NotAllowed = Response("403 Forbidden", Problems.PeerNotAllowed);
    private static readonly byte[] TooMany = Response("503 Service Unavailable", Problems.TooManyConnections);

    private int _discarding;

    public async Task OnConnection(ConnectionContext connection, ConnectionDelegate next)
    {
        PeerCredentials peer =
            PeerSocket.Credentials(connection.Features.GetRequiredFeature<IConnectionSocketFeature>().Socket);
        if (ownProcess != 0 && peer.Pid == ownProcess)
        {
            // The watchdog asks whether this very path still answers, however many others are connected.
            connection.Features.Set(new AdmittedPeer(peer));
            await next(connection);
            return;
        }

        Entrance entrance = gate.Enter(peer, connection.Abort);
        if (entrance.MadeRoom is { } other)
            turnedAway(other, Admission.MadeRoom);
        if (entrance.Slot is not { } slot)
        {
            turnedAway(peer, entrance.Admission);
            await TurnAwayAsync(connection, entrance.Admission == Admission.NotAllowed ? NotAllowed : TooMany);
            return;
        }

        try
        {
            connection.Features.Set(new AdmittedPeer(peer, Slot: slot));
            await next(connection);
        }
        finally
        {
            gate.Leave(slot);
        }
    }

    private async Task TurnAwayAsync(ConnectionContext connection, byte[] answer)
    {
        try
        {
            if (Interlocked.Increment(ref _discarding) > DiscardingMax)
            {
                connection.Abort();
                return;
            }

            using var limit = new CancellationTokenSource(DiscardTimeMax, time);
            await connection.Transport.Output.WriteAsync(answer, limit.Token);
            await DiscardAsync(connection.Transport.Input, limit.Token);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException)
        {
            // The time is up or the peer is gone: either way it has had its answer.
        }
        finally
        {
            Interlocked.Decrement(ref _discarding);
        }
    }

    private static async Task DiscardAsync(PipeReader input, CancellationToken limit)
    {
        long discarded = 0;
        while (discarded <= DiscardBytesMax)
        {
            ReadResult read = await input.ReadAsync(limit);
            discarded += read.Buffer.Length;
            input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted)
                return;
        }
    }

    private static byte[] Response(string statusLine, Problem problem)
    {
        var body = new ArrayBufferWriter<byte>();
        LocalAnswer answer = Problems.Write(problem, body);
        byte[] head = Encoding.ASCII.GetBytes(
            $"HTTP/1.1 {statusLine}\r\nContent-Type: {answer.ContentType}\r\n"
            + $"Content-Length: {body.WrittenCount}\r\nConnection: close\r\n\r\n");
        return [.. head, .. body.WrittenSpan];
    }
}
