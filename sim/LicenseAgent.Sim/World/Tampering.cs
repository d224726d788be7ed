using System.Text;
using System.Text.Json.Nodes;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;

namespace LicenseAgent.Sim.World;

/// <summary>What somebody with the disk does to it while the till is off.</summary>
internal static class Tampering
{
    public static Action? Of(SimTill till, PlannedFault fault)
    {
        Action? tamper = fault.Kind switch
        {
            FaultKinds.RunRemoved => () => till.Disk.Put("run.json", null),
            FaultKinds.StateDamaged => () => Damage(till.Disk, "state.json"),
            FaultKinds.SecretDamaged => () => DamageNewestSecret(till.Disk),
            FaultKinds.OlderFormat => () => Formats.MakeOlder(till.Disk),
            FaultKinds.AuditTailCut => () => CutTail(till.Audit, (int)fault.Arg),
            _ => null,
        };
        if (tamper is null)
        {
            return null;
        }

        till.PowerCut();
        tamper();
        return till.Start;
    }

    private static void Damage(SimDisk disk, string name)
    {
        if (disk.Seen(name) is { Length: > 0 } content)
        {
            byte[] damaged = (byte[])content.Clone();
            damaged[damaged.Length / 2] ^= 1;
            disk.Put(name, damaged);
        }
    }

    private static void DamageNewestSecret(SimDisk disk)
    {
        string? newest = disk.Names.Where(n => n.StartsWith("secrets/v", StringComparison.Ordinal) && n.EndsWith(".jws", StringComparison.Ordinal))
            .MaxBy(n => long.Parse(n.AsSpan(9, n.Length - 13), System.Globalization.CultureInfo.InvariantCulture));
        if (newest is not null)
        {
            Damage(disk, newest);
        }
    }

    /// <summary>Takes whole records off the end.</summary>
    private static void CutTail(SimAudit audit, int records)
    {
        ReadOnlySpan<byte> bytes = audit.Newest;
        int end = bytes.Length;
        for (; records > 0 && end > 0; records--)
        {
            end = bytes[..(end - 1)].LastIndexOf((byte)'\n') + 1;
        }

        audit.Restore(bytes[..end].ToArray(), audit.Closed);
    }
}

/// <summary>Another version of the program ran on the till and left its files.</summary>
internal static class Formats
{
    private const string Run = "run.json";
    private const int Unknown = 99;

    // What format 2 added (src/LicenseAgent.Core/State/RunState.cs).
    private static readonly (string Of, string Member)[] AddedInTwo =
    [
        ("", "degraded_forbidden"), ("", "doubted_ms"), ("anchor", "awake_ms"), ("anchor", "wall"),
        ("anchor", "tpm_clock_ms"), ("high_water", "awake_ms"),
    ];

    public static void MakeOlder(SimDisk disk) => Rewrite(disk, root =>
    {
        root["format"] = 1;
        foreach ((string of, string member) in AddedInTwo)
        {
            (of.Length == 0 ? root["run"] : root["run"]![of])?.AsObject().Remove(member);
        }
    });

    /// <summary>A program that is too old is started on newer files: it has to refuse, and to leave them alone.</summary>
    public static Action Newer(SimWorld world, SimTill till)
    {
        till.PowerCut();
        byte[]? before = till.Disk.Seen(Run);
        if (AreNewer(till.Disk))
        {
            // A fault before this one left them, and takes them away again.
            till.Start();
            return () => { };
        }

        Rewrite(till.Disk, root => root["format"] = Unknown);
        byte[]? written = till.Disk.Seen(Run);
        till.Start();
        return () =>
        {
            bool isUntouched = written is null || till.Disk.Seen(Run).AsSpan().SequenceEqual(written);

            // LOCKED over something else, it has not come to read the file.
            bool isRefused = written is null || !till.IsRunning
                || till.Agent?.Loop.Snapshot.Mode.ReasonWhenLocked is not null;
            world.History.Add(new NewerFormatLeft(world.Loop.NowUs, till.Id, isRefused, isUntouched));
            till.PowerCut();
            if (isUntouched && before is not null)
            {
                till.Disk.Put(Run, before);
            }

            till.Start();
        };
    }

    /// <summary>The files are those of a newer program.</summary>
    public static bool AreNewer(SimDisk disk) => disk.Seen(Run) is { Length: > 0 } content
        && (int?)JsonNode.Parse(content)!.AsObject()["format"] == Unknown;

    private static void Rewrite(SimDisk disk, Action<JsonObject> change)
    {
        if (disk.Seen(Run) is { Length: > 0 } content)
        {
            JsonObject root = JsonNode.Parse(content)!.AsObject();
            change(root);
            disk.Put(Run, Encoding.UTF8.GetBytes(root.ToJsonString()));
        }
    }
}
