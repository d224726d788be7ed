namespace LicenseAgent.Core;

/// <summary>
/// The program contradicts itself: a bug. Thrown in Release too; the host catches it at the task root, audits it and
/// exits 70.
/// </summary>
public sealed class InvariantBroken(string message) : Exception(message)
{
    public static void Unless(bool holds, string claim)
    {
        if (!holds)
        {
            throw new InvariantBroken(claim);
        }
    }
}
