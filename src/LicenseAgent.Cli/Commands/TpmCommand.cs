using System.CommandLine;
using LicenseAgent.Cli.Display;
using LicenseAgent.Protocol.Management;
using Spectre.Console.Rendering;

namespace LicenseAgent.Cli.Commands;

internal static class TpmCommand
{
    public static Command Create(AgentCalls calls) => calls.Bind(
        new Command("tpm", "State and identity of the TPM"),
        (client, _, cancel) => client.TpmAsync(cancel),
        (screen, tpm) => screen.Write(Blocks.Facts(Facts(tpm))));

    private static IEnumerable<(string Name, IRenderable? Value)> Facts(TpmResponse tpm)
    {
        yield return ("state", Blocks.Text(tpm.State, Colors.OfTpm(tpm.State)));
        yield return ("last error", tpm.LastError is null ? null : Blocks.Text(tpm.LastError));
        yield return ("device", Blocks.Text(tpm.Device));
        yield return ("manufacturer", Blocks.Text(tpm.Manufacturer));
        yield return ("firmware", Blocks.Text(tpm.Firmware));
        yield return ("lockout counter", Blocks.Number(tpm.LockoutCounter));
        yield return ("generation", Blocks.Number(tpm.Generation));
        yield return ("clock", Blocks.Text(
            tpm.ClockMs is { } ms ? TimeText.Length(TimeSpan.FromMilliseconds(ms)) : null));
        yield return ("resets", Blocks.Number(tpm.ResetCount));
        yield return ("restarts", Blocks.Number(tpm.RestartCount));
        yield return ("signing key", Blocks.Text(Key(tpm.SigningKey, tpm.SigningHandle)));
        yield return ("decryption key", Blocks.Text(tpm.DecryptionHandle));
        yield return ("SRK Name", Blocks.Text(tpm.SrkName));
        yield return ("owner password", tpm.OwnerAuthSet is { } set ? Blocks.Text(set ? "set" : "empty") : null);
        yield return ("when it is lost",
            tpm.Fallback == "off" ? null : Blocks.Text("software keys, where the server allows them"));
    }

    private static string? Key(string? thumbprint, string? handle) =>
        thumbprint is null ? handle : $"{thumbprint} at {handle ?? "-"}";
}
