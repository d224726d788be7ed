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
