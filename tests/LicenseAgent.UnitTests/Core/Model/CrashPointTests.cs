using LicenseAgent.Core;
using Xunit;

namespace LicenseAgent.UnitTests.Core.Model;

/// <summary>
/// One golden history (enrol, first secret, two rotations, check-ins), broken off at every point there is: killed at
/// every boundary, every request and every answer lost. No version is skipped or used twice.
/// </summary>
public sealed class CrashPointTests
{
    private const int Target = 3;

    [Fact]
    public void Killed_at_every_boundary_it_comes_to_the_same_versions()
    {
        int k = 0;
        while (Golden(Faults.None, w => w.Till.BoundariesUntilKill = k).Till.BoundariesUntilKill < 0)
        {
            k++;
        }

        Assert.InRange(k, 60, 1_000);
    }

    [Fact]
    public void Killed_at_every_boundary_and_again_at_every_one_soon_after_it_comes_to_the_same_versions()
    {
        for (int k = 0; k < 100; k++)
        {
            for (int again = 0; again < 60; again += 4)
            {
                Golden(Faults.None, w => w.Till.BoundariesUntilKill = k, again);
            }
        }
    }

    [Fact]
    public void Every_request_may_be_lost()
    {
        int n = 0;
        ModelWorld world;
        do
        {
            world = Golden(Faults.None, w => w.Lost = (n, -1));
            n++;
        }
        while (n <= world.Served);

        Assert.InRange(n, 8, 100);
    }

    [Fact]
    public void Every_answer_may_be_lost()
    {
        int n = 0;
        ModelWorld world;
        do
        {
            world = Golden(Faults.None, w => w.Lost = (-1, n));
            n++;
        }
        while (n <= world.Served);

        Assert.InRange(n, 8, 100);
    }

    [Fact]
    public void Every_durable_write_may_fail()
    {
        int k = 0;
        while (Golden(Faults.None, w => w.Till.WritesUntilFailure = k).Till.WritesUntilFailure < 0)
        {
            k++;
        }

        Assert.InRange(k, 20, 1_000);
    }

    private static ModelWorld Golden(Faults faults, Action<ModelWorld> breakAt, int killAgain = -1)
    {
        ModelWorld world = new(1, faults);
        breakAt(world);
        try
        {
            world.Progress();
            world.Until(() => IsReached(world, ref killAgain));
            Assert.Equal((Target, Target), (world.Server.Active, world.Server.Highest));
            Assert.Equal(Target, Views.Active(world.Till.State)!.Version);
            Assert.Equal([1, 2, 3], world.Till.Disk.Bound!.Secrets.Select(s => s.Version));
            return world;
        }
        catch (Exception e) when (e is Xunit.Sdk.XunitException or InvariantBroken)
        {
            throw new InvalidOperationException($"{e.Message}\n{string.Join('\n', world.Story)}\n{world.Till}", e);
        }
    }

    /// <summary>Asks for what is still missing, as an operator would who sees the till at rest.</summary>
    private static bool IsReached(ModelWorld world, ref int killAgain)
    {
        if (!world.Till.IsUp && killAgain >= 0)
        {
            (world.Till.BoundariesUntilKill, killAgain) = (killAgain, -1);
        }

        bool idle = world.Till.IsSettled && world.Till.State.Activity is Activity.Idle;
        if (idle && world.Till.State is { Lock: LockReason.NotEnrolled, EnrollmentResumable: false, Identity: null })
        {
            world.Till.AskEnrolment();
        }
        else if (idle && world.IsAtRest() && world.Server.Active < Target)
        {
            world.Till.AskRotation();
        }

        return world.IsAtRest() && world.Server.Active == Target
            && Views.Active(world.Till.State)?.Version == Target;
    }
}
