using System.Globalization;
using System.Text;

namespace LicenseAgent.Testbed.Tpm;

/// <summary>One command with the TPM's answer, empty where there was none. Bytes as they were on the bus.</summary>
public sealed record TpmExchange(int Ordinal, TpmCommand Command, uint Code, byte[] Request, byte[] Response);

/// <summary>Where bytes that must not be on the bus were found.</summary>
public sealed record TpmSighting(int Ordinal, TpmCommand Command, bool InResponse, int Offset);

/// <summary>
/// Everything that crossed the bus, both ways. Bounded: what comes after the limit is counted and not kept, and then
/// the
/// recording refuses to say that something is not in it.
/// </summary>
public sealed class TpmRecording(long bytesMax)
{
    private readonly Lock _lock = new();
    private readonly List<TpmExchange> _exchanges = [];
    private long _bytes;
    private int _dropped;

    public IReadOnlyList<TpmExchange> Exchanges
    {
        get
        {
            lock (_lock) return [.. _exchanges];
        }
    }

    public int Count(TpmCommand command) =>
        Exchanges.Count(e => command == TpmCommand.Any || e.Command == command);

    public void Clear()
    {
        lock (_lock)
        {
            _exchanges.Clear();
            _bytes = 0;
            _dropped = 0;
        }
    }

    /// <summary>Every place where any <paramref name="window"/> consecutive bytes of the needle occur.</summary>
    public IReadOnlyList<TpmSighting> Find(ReadOnlySpan<byte> needle, int window = 8)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(window, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(needle.Length, window);
        var found = new List<TpmSighting>();
        lock (_lock)
        {
            if (_dropped > 0)
                throw new InvalidOperationException($"the recording is full and lacks {_dropped} exchanges");
            foreach (var exchange in _exchanges)
            {
                for (var start = 0; start + window <= needle.Length; start++)
                {
                    Look(exchange, needle.Slice(start, window), inResponse: false, found);
                    Look(exchange, needle.Slice(start, window), inResponse: true, found);
                }
            }
        }

        return found;
    }

    /// <summary>One line per exchange, for reports: no bytes, only what kind and how long.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        foreach (var e in Exchanges)
        {
            var rc = e.Response.Length < TpmStream.HeaderSize ? "no answer" : $"rc 0x{TpmStream.Code(e.Response):x}";
            var name = TpmStream.NameOf(e.Command, e.Code);
            text.AppendLine(
                CultureInfo.InvariantCulture,
                $"{e.Ordinal,5} {name,-18} {e.Request.Length,4} -> {e.Response.Length,4} {rc}");
        }

        return text.ToString();
    }

    /// <summary>Takes an exchange, in the order of the bus; the arrays are kept and must not change.</summary>
    public void Add(TpmCommand command, uint code, byte[] request, byte[] response)
    {
        lock (_lock)
        {
            if (_bytes + request.Length + response.Length > bytesMax)
            {
                _dropped++;
                return;
            }

            _bytes += request.Length + response.Length;
            _exchanges.Add(new TpmExchange(_exchanges.Count + 1, command, code, request, response));
        }
    }

    private static void Look(TpmExchange exchange, ReadOnlySpan<byte> window, bool inResponse, List<TpmSighting> found)
    {
        var offset = (inResponse ? exchange.Response : exchange.Request).AsSpan().IndexOf(window);
        if (offset >= 0) found.Add(new TpmSighting(exchange.Ordinal, exchange.Command, inResponse, offset));
    }
}
