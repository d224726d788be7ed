using System.Buffers.Binary;
using System.Text;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Tokens;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Kernel;
using LicenseAgent.Sim.World.Server;
using Microsoft.Extensions.Logging;

namespace LicenseAgent.Sim.World;

/// <summary>
/// Looks for the secrets of one till where none may be: in what it answers, sends, logs, and leaves on its disk. A secret
/// is known as bytes, forwards and backwards, and as hex and base64 of these; eight bytes of it, or sixteen characters
/// that stand for some of them, are a find.
/// </summary>
internal sealed class Canary(SimLoop loop, Chronicle history, SimServer server, string till)
{
    // A till holds 18 at most; what is older it has forgotten.
    private const int SecretsMax = 24;
    private const int Window = 8;
    private const int TextWindow = 16;

    // Almost everything is none of some fifteen thousand windows, and is seen to be none by one bit.
    private const int FilterBits = 18;

    private readonly List<(long Version, byte[][] Forms)> _secrets = [];

    // Sorted: ten thousand tills have one each, and a set takes five times as much.
    private ulong[] _windows = [];
    private readonly ulong[] _filter = new ulong[(1 << FilterBits) / 64];
    private long _known;
    private long _places;

    /// <param name="place">What these bytes are, for people.</param>
    public void Look(string place, ReadOnlySpan<byte> bytes)
    {
        LearnNew();
        _places++;

        // Sixteen characters hold one window in eight wherever they begin; of raw bytes one in 256 could pass for text.
        int step = Ascii.IsValid(bytes) ? TextWindow - Window : 1;
        for (int at = 0; at + Window <= bytes.Length; at += step)
        {
            ulong window = BinaryPrimitives.ReadUInt64LittleEndian(bytes[at..]);
            (int word, ulong bit) = InFilter(window);
            if ((_filter[word] & bit) != 0 && Array.BinarySearch(_windows, window) >= 0
                && VersionAt(bytes, at) is { } version)
            {
                history.Add(new SecretInClear(loop.NowUs, till, place, version));
                return;
            }
        }
    }

    /// <summary>A request is looked at as it is, and what it carries signed as well.</summary>
    public void LookAtRequest(string path, byte[] request)
    {
        Look($"request {path}", request);
        if (CompactJws.TryParse(request, JoseTypes.AgentRequest, request.Length, out ParsedJws? jws))
        {
            Look($"payload {path}", jws.Payload);
        }
    }

    public void LookAtDisk(SimDisk disk, SimAudit audit)
    {
        foreach (string name in disk.Names)
        {
            Look($"file {name}", disk.Seen(name));
            Look($"file {name}", disk.Durable(name));
        }

        Look("audit.log", audit.Newest);
        foreach ((string name, byte[] content) in audit.Closed)
        {
            Look(name, content);
        }
    }

    /// <summary>At the end of a run: how much was looked at.</summary>
    public void Tell() => history.Add(new LookedForSecrets(loop.NowUs, till, _places, _known));

    private void LearnNew()
    {
        long highest = server.Find(till)?.Highest ?? 0;
        if (highest == _known)
        {
            return;
        }

        for (; _known < highest; _known++)
        {
            _secrets.Add((_known + 1, FormsOf(server.SecretOf(till, _known + 1))));
        }

        _secrets.RemoveRange(0, Math.Max(0, _secrets.Count - SecretsMax));
        _windows = [.. _secrets.SelectMany(s => s.Forms).SelectMany(WindowsOf)];
        Array.Sort(_windows);
        Array.Clear(_filter);
        foreach (ulong window in _windows)
        {
            (int word, ulong bit) = InFilter(window);
            _filter[word] |= bit;
        }
    }

    private static IEnumerable<ulong> WindowsOf(byte[] form) => Enumerable.Range(0, form.Length - Window + 1)
        .Select(at => BinaryPrimitives.ReadUInt64LittleEndian(form.AsSpan(at)));

    private static (int Word, ulong Bit) InFilter(ulong window)
    {
        int hash = (int)(unchecked(window * 0x9E3779B97F4A7C15) >> (64 - FilterBits));
        return (hash >> 6, 1UL << (hash & 63));
    }

    private long? VersionAt(ReadOnlySpan<byte> bytes, int at)
    {
        foreach ((long version, byte[][] forms) in _secrets)
        {
            foreach (byte[] form in forms)
            {
                if (Holds(form, bytes, at))
                {
                    return version;
                }
            }
        }

        return null;
    }

    /// <summary>The bytes around a window that is one of the form's are more of it, as many as make a find.</summary>
    private static bool Holds(byte[] form, ReadOnlySpan<byte> bytes, int at)
    {
        int least = IsText(form) ? TextWindow : Window;
        for (int from = Math.Max(0, at - (least - Window)); from <= at && from + least <= bytes.Length; from++)
        {
            if (form.AsSpan().IndexOf(bytes.Slice(from, least)) >= 0)
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsText(byte[] form) => form.Length > SecretKeys.KeyLength;

    private static byte[][] FormsOf(byte[] secret)
    {
        List<byte[]> forms = [];
        foreach (byte[] bytes in new[] { secret, [.. secret.Reverse()] })
        {
            forms.Add(bytes);
            forms.Add(Encoding.ASCII.GetBytes(Convert.ToHexString(bytes)));
            forms.Add(Encoding.ASCII.GetBytes(Convert.ToHexStringLower(bytes)));

            // Where it begins in what is encoded shifts the characters; those of its ends depend on what stands beside.
            for (int shift = 0; shift < 3; shift++)
            {
                byte[] shifted = [.. new byte[shift], .. bytes];
                string text = Convert.ToBase64String(shifted)[(shift + (shift > 0 ? 1 : 0))..^4];
                forms.Add(Encoding.ASCII.GetBytes(text));
                forms.Add(Encoding.ASCII.GetBytes(text.Replace('+', '-').Replace('/', '_')));
            }
        }

        return [.. forms];
    }
}

/// <summary>Operational log lines, looked through as they are written.</summary>
internal sealed class CanaryLogger(Canary canary) : ILogger
{
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception,
        Func<TState, Exception?, string> formatter) =>
        canary.Look("log line", Encoding.UTF8.GetBytes($"{formatter(state, exception)} {exception}"));
}
