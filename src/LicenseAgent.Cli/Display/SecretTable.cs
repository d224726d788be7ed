using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Management;
using Spectre.Console.Rendering;

namespace LicenseAgent.Cli.Display;

internal static class SecretTable
{
    private static readonly string[] Heads = ["VERSION", "STATE", "KCV", "VALID UNTIL", "GRACE UNTIL"];

    /// <summary>Newest first.</summary>
    public static IRenderable Of(Screen screen, IEnumerable<SecretView> secrets, UtcTime now) => Blocks.Table(
        screen, Heads, secrets.OrderByDescending(secret => secret.Version).Select(secret => new[]
        {
            Blocks.Number(secret.Version), Blocks.Text(secret.State, Colors.OfSecret(secret.State)),
            Blocks.Text(secret.Kcv.ToString()), Blocks.Cell(screen, secret.ValidUntil, now),
            Blocks.Cell(screen, secret.GraceUntil, now),
        }));
}
