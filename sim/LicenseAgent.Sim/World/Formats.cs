using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using LicenseAgent.Core;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;

namespace LicenseAgent.Sim.World;

/// <summary>Another version of the program ran on the till and left its files.</summary>
internal static class Formats
{
    private const string Run = "run.json";
    private const string Agent = "agent.json";
    private const string State = "state.json";
    private const int Unknown = 99;

    // All of them know it.
    private const int Known = 1;

    // Whoever has just started has not come to read anything yet.
    private const long StartUs = 60_000_000;

    // The files with a format of their own; a plan names one by its place.
    private static readonly string[] Files = [Run, Agent, State];

    // What format 2 added (src/LicenseAgent.Core/State/RunState.cs); the other files know one format.
    private static readonly (string Of, string Member)[] AddedInTwo =
    [
        ("", "degraded_forbidden"), ("", "doubted_ms"), ("anchor", "awake_ms"), ("anchor", "wall"),
        ("anchor", "tpm_clock_ms"), ("high_water", "awake_ms"),
    ];

    private static ReadOnlySpan<byte> Member => "\"format\":"u8;

    public static void MakeOlder(SimDisk disk)
    {
        if (disk.Seen(Run) is { Length: > 0 } content)
        {
            JsonObject root = JsonNode.Parse(content)!.AsObject();
            root["format"] = 1;
            foreach ((string of, string member) in AddedInTwo)
            {
                (of.Length == 0 ? root["run"] : root["run"]![of])?.AsObject().Remove(member);
            }

            disk.Put(Run, Encoding.UTF8.GetBytes(root.ToJsonString()));
        }
    }

    /// <summary>A program that is too old is started on newer files: it has to refuse, and to leave them alone.</summary>
    /// <param name="which">Of the files that have a format of their own.</param>
    public static Action Newer(SimWorld world, SimTill till, long which)
    {
        till.PowerCut();
        string file = Files[which % Files.Length];
        if (AreNewer(till.Disk) || till.Disk.Seen(file) is not { Length: > 0 } before || FormatAt(before) < 0)
        {
            // A fault before this one left them, and takes them away again; or there is nothing to be newer yet.
            till.Start();
            return () => { };
        }

        till.Disk.Put(file, WithFormat(before, Unknown));
        IReadOnlyDictionary<string, byte[]> written = till.Disk.Snapshot();
        (long sinceUs, int from) = (world.Loop.NowUs, world.History.All.Count);
        till.Start();
        return () =>
        {
            Happening[] since = [.. world.History.All.Skip(from).Where(h => h.Node == till.Id)];
            bool isUntouched = AreSame(written, till.Disk.Snapshot());

            // Who enrols it anew while it is LOCKED over something else begins a new life with new files.
            if (!since.Any(h => h is Ordered { What: var what } && what.StartsWith("enroll", StringComparison.Ordinal)))
            {
                bool isRefused = since.Any(h => h is Ended { How: EndOf.NewerFormat })
                    || MayNotHaveRead(till, file, sinceUs, world.Loop.NowUs, since);
                world.History.Add(new NewerFormatLeft(world.Loop.NowUs, till.Id, isRefused, isUntouched, file));
            }

            till.PowerCut();
            if (till.Disk.Seen(file) is { } now && IsNewer(now))
            {
                // Somebody may have damaged it meanwhile: half a file says its format, too.
                till.Disk.Put(file, now.AsSpan().SequenceEqual(written[file]) ? before : WithFormat(now, Known));
            }

            till.Start();
        };
    }

    /// <summary>The files are those of a newer program.</summary>
    public static bool AreNewer(SimDisk disk) => Files.Any(file => disk.Seen(file) is { } content && IsNewer(content));

    private static bool IsNewer(byte[] content) => FormatAt(content) is >= 0 and var at
        && Utf8Parser.TryParse(content.AsSpan(at), out int format, out _) && format == Unknown;

    /// <summary>What comes before the file in a start was away, or there was none: then it is LOCKED over that.</summary>
    private static bool MayNotHaveRead(SimTill till, string file, long sinceUs, long nowUs, Happening[] since)
    {
        LockReason? reason = till.Agent?.Loop.Snapshot.Mode.ReasonWhenLocked;
        bool isUnderWay = !till.IsRunning || till.IsStopped
            || since.OfType<Started>().Last().AtUs > nowUs - StartUs;
        return isUnderWay || till.HadTrouble(FaultKinds.Disk, sinceUs)
            || (file != Agent && reason is LockReason.NotEnrolled)
            || (file == State && (reason is LockReason.TpmReplaced || till.HadTrouble(FaultKinds.Tpm, sinceUs)));
    }

    /// <summary>Where a file says its format, which all of them do first; -1: it does not.</summary>
    private static int FormatAt(ReadOnlySpan<byte> content) =>
        content.IndexOf(Member) is >= 0 and var at ? at + Member.Length : -1;

    /// <summary>Byte for byte what it was but for that: it may be damaged, and no JSON.</summary>
    private static byte[] WithFormat(byte[] content, int format)
    {
        int at = FormatAt(content);
        int digits = content.AsSpan(at).IndexOfAnyExceptInRange((byte)'0', (byte)'9');
        return
        [
            .. content[..at], .. Encoding.ASCII.GetBytes(format.ToString(CultureInfo.InvariantCulture)),
            .. content[(at + digits)..],
        ];
    }

    private static bool AreSame(IReadOnlyDictionary<string, byte[]> one, IReadOnlyDictionary<string, byte[]> other) =>
        one.Count == other.Count
        && one.All(f => other.TryGetValue(f.Key, out byte[]? content) && content.AsSpan().SequenceEqual(f.Value));
}
