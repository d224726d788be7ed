using LicenseAgent.Sim.Plans;

namespace LicenseAgent.Sim.World.Faults;

/// <summary>What somebody with the disk does to it while the till is off.</summary>
internal static class Tampering
{
    private const string Agent = "agent.json";
    private const string Tls = "tls.pem";

    public static Action? Of(SimTill till, PlannedFault fault)
    {
        Action? tamper = fault.Kind switch
        {
            FaultKinds.RunRemoved => () => till.Disk.Put("run.json", null),
            FaultKinds.StateDamaged => () => Damage(till.Disk, "state.json"),
            FaultKinds.SecretDamaged => () => DamageNewestSecret(till.Disk),
            FaultKinds.OlderFormat => () => Formats.MakeOlder(till.Disk),
            FaultKinds.BitRot => () => Rot(till.Disk, fault.Arg, fault.Arg2),
            FaultKinds.FileTruncated => () => Truncate(till.Disk, fault.Arg, toNothing: fault.Arg2 == 0),
            FaultKinds.AuditTailCut => () => CutTail(till.Audit, (int)fault.Arg),
            FaultKinds.AuditLineFlipped => () => FlipLine(till.Audit, (int)fault.Arg),
            FaultKinds.AuditSwapped => () => PutOlder(till.Audit, fault.Arg),
            _ => null,
        };
        if (tamper is null)
        {
            return null;
        }

        till.KeepOff(fault.Id);
        till.PowerCut();
        tamper();
        return () => till.LetStart(fault.Id);
    }

    private static void Damage(SimDisk disk, string name) =>
        Damage(disk, name, (disk.Seen(name)?.Length ?? 0) / 2);

    private static void Damage(SimDisk disk, string name, long at)
    {
        if (disk.Seen(name) is { Length: > 0 } content)
        {
            byte[] damaged = (byte[])content.Clone();
            damaged[at] ^= 1;
            disk.Put(name, damaged);
        }
    }

    /// <summary>A bit of any file.</summary>
    private static void Rot(SimDisk disk, long which, long where)
    {
        if (Pick(disk, which) is { } name)
        {
            Damage(disk, name, where % disk.Seen(name)!.Length);
        }
    }

    private static void Truncate(SimDisk disk, long which, bool toNothing)
    {
        if (Pick(disk, which) is { } name)
        {
            Truncate(disk, name, toNothing);
        }
    }

    private static void Truncate(SimDisk disk, string name, bool toNothing)
    {
        if (disk.Seen(name) is { } content)
        {
            disk.Put(name, toNothing ? [] : content[..(content.Length / 2)]);
        }
    }

    /// <summary>Of a key and its certificate the first bit: the rest is not of the seed.</summary>
    public static void DamageIdentity(SimDisk disk, long which, long how)
    {
        string name = which == 0 ? Agent : Tls;
        if (how == 2)
        {
            Damage(disk, name, at: 0);
        }
        else
        {
            Truncate(disk, name, toNothing: how == 0);
        }
    }

    /// <summary>Of all files but those of the identity, which are a fault of their own.</summary>
    private static string? Pick(SimDisk disk, long which)
    {
        string[] names = [.. disk.Names.Where(n => disk.Seen(n) is { Length: > 0 } && n != Agent
            && !n.StartsWith(Tls, StringComparison.Ordinal))];
        return names.Length == 0 ? null : names[which % names.Length];
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
            end = StartOf(bytes, end);
        }

        audit.Restore(bytes[..end].ToArray(), audit.Closed);
    }

    /// <summary>A bit in the middle of a record, so many before the end.</summary>
    private static void FlipLine(SimAudit audit, int fromEnd)
    {
        byte[] bytes = audit.Newest.ToArray();
        int end = bytes.Length;
        int start = StartOf(bytes, end);
        for (; fromEnd > 0 && start > 0; fromEnd--)
        {
            (end, start) = (start, StartOf(bytes, start));
        }

        if (end > start)
        {
            bytes[(start + end) / 2] ^= 1;
            audit.Restore(bytes, audit.Closed);
        }
    }

    /// <summary>The newest file, or a closed one, as it was when it had half of its records.</summary>
    private static void PutOlder(SimAudit audit, long which)
    {
        (string Name, byte[] Content)[] closed = [.. audit.Closed];
        long at = which % (closed.Length + 1);
        if (at == closed.Length)
        {
            audit.Restore(Half(audit.Newest), closed);
        }
        else
        {
            closed[at].Content = Half(closed[at].Content);
            audit.Restore(audit.Newest.ToArray(), closed);
        }
    }

    private static byte[] Half(ReadOnlySpan<byte> file) =>
        file[..(file[..(file.Length / 2)].LastIndexOf((byte)'\n') + 1)].ToArray();

    private static int StartOf(ReadOnlySpan<byte> bytes, int end) =>
        end == 0 ? 0 : bytes[..(end - 1)].LastIndexOf((byte)'\n') + 1;
}
