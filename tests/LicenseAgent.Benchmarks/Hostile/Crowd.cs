using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

namespace LicenseAgent.Benchmarks.Hostile;

/// <summary>
/// Five hundred connections that mean no good, in a process of their own: a hundred of each kind, each kind under its
/// own user. What is cut off connects again, at most ten times a second a connection.
/// </summary>
internal static partial class Crowd
{
    public const string Command = "crowd", Ready = "crowd_is_there";
    public const int OfEachKind = 100;

    private const int SetResUid = 117, Shifts = 10;
    private const string Rate = "acts_a_second ";
    private static readonly TimeSpan s_turn = TimeSpan.FromMilliseconds(100);

    private static readonly byte[] s_request = Encoding.ASCII.GetBytes(
        "POST /v1/validate-license HTTP/1.1\r\nHost: agent\r\nContent-Type: application/json\r\n"
        + "Content-Length: 2\r\n\r\n{}");

    /// <summary>The users of the crowd that the agent serves; the last kind's is not among them.</summary>
    public static IReadOnlyList<uint> ListedUids { get; } = [2001, 2002, 2003, 2004];

    private static readonly (string Name, uint Uid, Action<Member> Act)[] s_kinds =
    [
        ("says nothing", 2001, _ => { }),
        ("a byte of the head at a time", 2002, member => member.Drip(s_request)),
        ("asks and never reads", 2003, member => member.Flood(s_request)),
        ("garbage", 2004, member => member.Garbage()),
        ("not listed", 2999, member => member.Flood(s_request)),
    ];

    private static long s_acts;

    /// <summary>
    /// Bytes sent, or connections tried, a second: the newest figure the crowd has printed, none in its first second.
    /// </summary>
    public static double? LastRate(string said) =>
        said.Split('\n').LastOrDefault(line => line.StartsWith(Rate, StringComparison.Ordinal)) is { } line
            ? double.Parse(line[Rate.Length..], CultureInfo.InvariantCulture)
            : null;

    /// <summary>Until it is killed.</summary>
    public static int Run(string socket)
    {
        using CountdownEvent there = new(s_kinds.Length);
        foreach ((string name, uint uid, Action<Member> act) in s_kinds)
            new Thread(() => Play(socket, uid, act, there)) { Name = name, IsBackground = true }.Start();
        there.Wait();
        Console.WriteLine(Ready);
        using ManualResetEventSlim never = new();
        while (true)
        {
            long before = Interlocked.Read(ref s_acts);
            never.Wait(TimeSpan.FromSeconds(1));
            Console.WriteLine($"{Rate}{Interlocked.Read(ref s_acts) - before}");
        }
    }

    private static void Play(string socket, uint uid, Action<Member> act, CountdownEvent there)
    {
        // The kernel takes credentials by thread; the library's call would change the whole process.
        if (Syscall(SetResUid, -1, (nint)uid, -1) != 0)
            throw new InvalidOperationException("The crowd needs to run as root, to connect as other users.");
        using ManualResetEventSlim turn = new();
        Member[] members = [.. Enumerable.Range(0, OfEachKind).Select(i => new Member(socket, i))];
        for (bool first = true; ; first = false)
        {
            // Strangers to each other, who do not act in step.
            foreach (Member[] some in members.Chunk(OfEachKind / Shifts))
            {
                foreach (Member member in some)
                {
                    Interlocked.Increment(ref s_acts);
                    if (member.IsConnected())
                        act(member);
                }

                turn.Wait(s_turn / Shifts);
            }

            if (first)
                there.Signal();
        }
    }

    private sealed class Member(string path, int seed)
    {
        private readonly Random _random = new(seed);
        private Socket? _socket;
        private int _sent;

        // Told by a send; an answer that was never read may still lie there.
        private bool _isCutOff;

        public bool IsConnected()
        {
            if (_socket is { } socket && !_isCutOff && !(socket.Poll(0, SelectMode.SelectRead) && socket.Available == 0))
                return true;
            _socket?.Dispose();
            (_sent, _isCutOff) = (0, false);
            _socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false };
            try
            {
                _socket.Connect(new UnixDomainSocketEndPoint(path));
                return true;
            }
            catch (SocketException)
            {
                // The queue of connections is full: next turn.
                _socket.Dispose();
                _socket = null;
                return false;
            }
        }

        public void Drip(byte[] request)
        {
            Send(request.AsSpan(_sent % request.Length, 1));
            _sent++;
        }

        public void Flood(byte[] request)
        {
            for (int i = 0; i < 16 && Send(request); i++)
            {
            }
        }

        public void Garbage()
        {
            byte[] bytes = new byte[4096];
            _random.NextBytes(bytes);
            Send(bytes);
        }

        private bool Send(ReadOnlySpan<byte> bytes)
        {
            _socket!.Send(bytes, SocketFlags.None, out SocketError error);
            _isCutOff = error is not (SocketError.Success or SocketError.WouldBlock);
            return error == SocketError.Success;
        }
    }

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint Syscall(nint number, nint real, nint effective, nint saved);
}
