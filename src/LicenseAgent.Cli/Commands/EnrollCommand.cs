using System.CommandLine;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using LicenseAgent.Cli.Display;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Keysets;
using LicenseAgent.Protocol.Management;

namespace LicenseAgent.Cli.Commands;

internal static class EnrollCommand
{
    // A bundle is about 1 KiB; a request holds 16 KiB.
    private const int BundleBytesMax = 15 * 1024;

    // TPM2B_AUTH holds at most the largest digest, SHA-512.
    private const int OwnerAuthBytesMax = 64;

    public static Command Create(AgentCalls calls)
    {
        var bundle = new Option<string>("--bundle")
        {
            Description = "The file that `license-server agents add` wrote",
            HelpName = "FILE",
            Required = true,
        };
        var ownerAuth = new Option<string?>("--owner-auth-file")
        {
            Description = "A file with the TPM's owner password, where one is set",
            HelpName = "FILE",
        };
        var replace = new Option<bool>("--replace")
        {
            Description = "Make new keys for a till whose TPM was cleared or replaced; `license-server agents add ID "
                + "--replace` makes the bundle",
        };
        var force = new Option<bool>("--force")
        {
            Description = "With --replace: even though its TPM works; its keys and every secret are given up",
        };
        return calls.Bind(
            new Command("enroll", "Enrol this till with the license server") { bundle, ownerAuth, replace, force },
            (client, parsed, cancel) => client.EnrollAsync(
                new EnrollCall(
                    ReadBundle(parsed.GetValue(bundle)!, calls.Context),
                    ReadOwnerAuth(parsed.GetValue(ownerAuth), calls.Context),
                    parsed.GetValue(replace) ? true : null, Force(parsed.GetValue(force), parsed.GetValue(replace))),
                cancel),
            Show);
    }

    private static bool? Force(bool force, bool replace) => (force, replace) switch
    {
        (true, false) => throw new UsageException("--force goes with --replace: alone it would change nothing."),
        (true, true) => true,
        _ => null,
    };

    private static EnrollmentBundle ReadBundle(string path, CliContext context)
    {
        byte[] utf8 = InputFile.Read(path, BundleBytesMax);
        EnrollmentBundle bundle;
        try
        {
            bundle = StrictJson.Read(utf8, BundleJsonContext.Wire.EnrollmentBundle);
        }
        catch (ProtocolException e)
        {
            throw NoBundle(path, e.Message);
        }
        if (Fault(bundle) is { } fault)
            throw NoBundle(path, fault);
        WarnOfOpenMode(path, "its enrolment token", context);
        if (bundle.ExpiresAt < context.WallClock)
        {
            // Not refused: the clock of a new till may be anything, and the server knows better.
            context.Screen.Warn($"By this machine's clock the bundle expired {Times(bundle, context)}.");
        }
        return bundle;
    }

    private static string? Fault(EnrollmentBundle bundle) => bundle switch
    {
        { Format: not 1 } => $"format {bundle.Format} is not of this version",
        _ when !AgentId.IsValid(bundle.AgentId) => "agent_id is no agent id",
        _ when !IsHttps(bundle.ServerUrl) => "server_url is no https URL",
        { ServerName: "" } => "server_name is empty",
        { Pins.Count: 0 } => "pins is empty",
        _ when !bundle.Pins.All(pin => SpkiPin.TryParse(pin, out _)) => "pins has an entry that is no pin",
        _ when !IsCertificate(bundle.CaCert) => "ca_cert is no certificate",
        _ => null,
    };

    private static bool IsHttps(string url) =>
        Uri.TryCreate(url, UriKind.Absolute, out Uri? uri) && uri.Scheme == "https";

    private static bool IsCertificate(string text)
    {
        if (!Base64UrlText.TryDecode(text, out byte[] der))
            return false;
        try
        {
            using X509Certificate2 certificate = X509CertificateLoader.LoadCertificate(der);
            return true;
        }
        catch (CryptographicException)
        {
            // The answer to the question asked.
            return false;
        }
    }

    private static UsageException NoBundle(string path, string fault) => new(
        $"{path} is no enrolment bundle ({fault}). Copy it again, or have `license-server agents add` make a new one. "
        + "Nothing was sent.");

    private static string? ReadOwnerAuth(string? path, CliContext context)
    {
        if (path is null)
            return null;
        byte[] bytes = InputFile.Read(path, OwnerAuthBytesMax + 1);
        ReadOnlySpan<byte> line = bytes.AsSpan().TrimEnd("\r\n"u8);
        WarnOfOpenMode(path, "the owner password", context);
        try
        {
            return line.Length is > 0 and <= OwnerAuthBytesMax
                ? new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(line)
                : throw new UsageException($"{path}: an owner password has 1 to {OwnerAuthBytesMax} bytes.");
        }
        catch (DecoderFallbackException)
        {
            throw new UsageException($"{path}: the owner password is not text in UTF-8.");
        }
    }

    private static void WarnOfOpenMode(string path, string content, CliContext context)
    {
        if (InputFile.IsOpenToOthers(path))
        {
            string mode = Convert.ToString((int)File.GetUnixFileMode(path), 8);
            context.Screen.Warn(
                $"{path} has mode 0{mode}: others may know {content}. chmod 600 it; if in doubt, have it made anew.");
        }
    }

    private static string Times(EnrollmentBundle bundle, CliContext context) =>
        TimeText.Both(bundle.ExpiresAt, context.WallClock);

    private static void Show(Screen screen, EnrollOutcome outcome)
    {
        screen.Write(Blocks.Facts(
        [
            ("enrolled as", Blocks.Text(outcome.AgentId)),
            ("signing key", Blocks.Text(outcome.SigningKey)),
            ("highest version", Blocks.Number(outcome.HighestVersion)),
        ]));
        screen.Line();
        screen.Line($"`license-server agents show {outcome.AgentId}` must show the same signing key.");
        screen.Line("The first rotation follows at once; `license-agent-cli status` shows it. Delete the bundle.");
    }
}
