using System.Text;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Sim.History;
using LicenseAgent.Sim.Plans;
using LicenseAgent.Sim.World.Server;

namespace LicenseAgent.Sim.World;

/// <summary>What operators do at tills and at the server, as the plan has it.</summary>
internal sealed class OrderDesk(SimWorld world)
{
    public void CarryOut(PlannedOrder order)
    {
        SimTill till = world.Till(order.Till);
        if (world.Server.Find(till.Id) is not { Signing: not null } books)
        {
            return;
        }

        switch (order.Kind)
        {
            case OrderKinds.Rotate:
                AtTill(till, ManagementPaths.Rotate, "", order.Kind);
                break;
            case OrderKinds.Invalidate:
                long version = till.Agent?.Loop.Snapshot.Active?.Version ?? 0;
                string path = $"{ManagementPaths.InvalidatePrefix}{version}{ManagementPaths.InvalidateSuffix}";
                AtTill(till, path, """{"force":true}""", $"{order.Kind} {version}");
                break;
            case OrderKinds.Revoke:
                Revoke(till, order);
                break;
            case OrderKinds.Suspend or OrderKinds.Resume:
                world.Server.Suspend(till.Id, order.Kind == OrderKinds.Suspend);
                Note(till, order.Kind);
                break;
            case OrderKinds.LimitGrace:
                LimitGrace(till, order.Arg);
                break;
            case OrderKinds.InvalidateBelow:
                InvalidateBelow(till, Math.Min(Math.Max(1, books.Active + order.Arg), books.Highest + 1));
                break;
            case OrderKinds.InvalidateAtConfirm:
                till.ConfirmLeaves = () => InvalidateBelow(till, world.Server.Find(till.Id)!.Highest + 1);
                break;
            case OrderKinds.RotateNow:
                world.Server.RotateNow(till.Id);
                Note(till, order.Kind);
                break;
            default:
                throw new PlanException($"Nobody orders \"{order.Kind}\".");
        }
    }

    /// <summary>For the healing: nothing is held back any more, and repairs are approved.</summary>
    public void LiftAll()
    {
        foreach (SimTill till in world.Tills)
        {
            till.ConfirmLeaves = null;
            if (world.Server.Find(till.Id) is not null)
            {
                world.Server.Suspend(till.Id, suspended: false);
                world.Server.LimitGrace(till.Id, null);
                world.Server.ApproveRecovery(till.Id);
            }
        }
    }

    private void InvalidateBelow(SimTill till, long version)
    {
        world.Server.InvalidateBelow(till.Id, version);
        Note(till, $"{OrderKinds.InvalidateBelow} {version}");
    }

    private void LimitGrace(SimTill till, long hours)
    {
        world.Server.LimitGrace(till.Id, SimServer.At(world.Loop.NowUs) + TimeSpan.FromHours(hours));
        Note(till, $"{OrderKinds.LimitGrace} {hours} h");
    }

    private void Revoke(SimTill till, PlannedOrder order)
    {
        string[] licenses = [.. world.Pos[world.Tills.ToList().IndexOf(till)].Licenses.Distinct()];
        if (licenses.Length > 0)
        {
            string license = licenses[order.Arg % licenses.Length];
            world.Server.Revoke(till.Id, license);
            Note(till, $"{order.Kind} {license}");
        }
    }

    private void AtTill(SimTill till, string path, string body, string what) => world.Order(
        till, "POST", path, Encoding.UTF8.GetBytes(body),
        (status, _) => world.History.Add(new Ordered(world.Loop.NowUs, till.Id, what, $"{status}")));

    private void Note(SimTill till, string what) =>
        world.History.Add(new Ordered(world.Loop.NowUs, till.Id, what, "server"));
}
