using System.CommandLine;
using System.Security.Cryptography;
using System.Text;
using LicenseAgent.Cli.Display;
using LicenseAgent.Client;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Tokens;
using Spectre.Console.Rendering;

namespace LicenseAgent.Cli.Commands;

/// <summary>
/// <c>license validate|renew</c>: what an application would be told, on its own socket; <c>inspect</c>: what anybody
/// can read off a token.
/// </summary>
internal static class LicenseCommand
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    // The license server is asked, which may take as long as the agent's server.timeout.
    private static readonly TimeSpan RenewalTimeout = TimeSpan.FromSeconds(75);

    public static Command Create(AgentCalls calls) =>
        new("license", "Licenses") { Validate(calls), Renew(calls), Inspect(calls) };

    private static Option<string?> TokenOption() => new("--token")
    {
        Description = "A file with the license token, or - for standard input (the default)",
        HelpName = "FILE",
    };

    private static Option<string> SocketOption() => new("--pos-socket")
    {
        Description = "The socket that applications use",
        HelpName = "PATH",
        DefaultValueFactory = _ => LicenseAgentClientOptions.DefaultSocketPath,
    };

    private static Command Validate(AgentCalls calls)
    {
        var (token, socket) = (TokenOption(), SocketOption());
        var validate = new Command("validate", "Validate a license as an application would; exit code 1 if invalid")
        {
            token, socket,
        };
        validate.SetAction((parsed, cancel) => ValidateAsync(
            calls, calls.IsJson(parsed), ReadToken(parsed.GetValue(token), calls.Context),
            AgentCalls.RequireSocketPath(parsed.GetValue(socket)!, "--pos-socket"), cancel));
        return validate;
    }

    private static Command Renew(AgentCalls calls)
    {
        var (token, socket) = (TokenOption(), SocketOption());
        var renew = new Command(
            "renew", "Have the license server wrap a license anew and print the token; exit code 1 if it does not")
        {
            token, socket,
        };
        renew.SetAction((parsed, cancel) => RenewAsync(
            calls, calls.IsJson(parsed), ReadToken(parsed.GetValue(token), calls.Context),
            AgentCalls.RequireSocketPath(parsed.GetValue(socket)!, "--pos-socket"), cancel));
        return renew;
    }

    private static Command Inspect(AgentCalls calls)
    {
        Option<string?> token = TokenOption();
        var inspect = new Command("inspect", "Show for whom a license token is, without opening it") { token };
        inspect.SetAction(parsed => Inspect(calls.Context.Screen, ReadToken(parsed.GetValue(token), calls.Context)));
        return inspect;
    }

    private static int Inspect(Screen screen, string token)
    {
        byte[] bytes = Encoding.ASCII.GetBytes(token);
        if (!LicenseToken.TryParseShape(bytes, out LicenseTokenShape shape))
        {
            screen.Line("This is no license token: see that the file holds the whole of one and nothing else.");
            return ExitCodes.No;
        }

        screen.Write(Blocks.Facts(
        [
            ("agent", Blocks.Text(shape.AgentId)), ("secret version", Blocks.Number(shape.Version)),
            ("bytes", Blocks.Number(bytes.Length)),
        ]));
        screen.Line();
        screen.Line("What it licenses is encrypted: license validate asks the agent, licenses inspect the server.");
        return ExitCodes.Ok;
    }

    private static async Task<int> RenewAsync(
        AgentCalls calls, bool json, string token, string socketPath, CancellationToken cancel)
    {
        Nonce16 nonce = Nonce16.From(RandomNumberGenerator.GetBytes(Nonce16.Length));
        byte[] request = StrictJson.Write(
            new RenewLicenseRequest(token, nonce), LocalRequestJsonContext.Wire.RenewLicenseRequest);
        using var socket = new UnixSocketHttp(socketPath, LicenseAgentClient.AccessRemedy, connectionsMax: 1);
        SocketAnswer answer =
            await socket.SendAsync(HttpMethod.Post, LocalPaths.RenewLicense, request, RenewalTimeout, cancel);
        if (answer.Status != 200)
            throw socket.Refusal(answer);
        RenewLicenseResponse response = Read(answer, LocalAnswerJsonContext.Wire.RenewLicenseResponse);
        if (response.Nonce != nonce)
            throw NotThisAgents();
        if (json)
            calls.Context.Screen.Answer(answer.Body);
        else
            calls.Context.Screen.Line(response.LicenseToken);
        return ExitCodes.Ok;
    }

    private static async Task<int> ValidateAsync(
        AgentCalls calls, bool json, string token, string socketPath, CancellationToken cancel)
    {
        Nonce16 nonce = Nonce16.From(RandomNumberGenerator.GetBytes(Nonce16.Length));
        byte[] request = StrictJson.Write(
            new ValidateLicenseRequest(token, nonce), LocalRequestJsonContext.Wire.ValidateLicenseRequest);
        using var socket = new UnixSocketHttp(socketPath, LicenseAgentClient.AccessRemedy, connectionsMax: 1);
        SocketAnswer answer =
            await socket.SendAsync(HttpMethod.Post, LocalPaths.ValidateLicense, request, Timeout, cancel);
        if (answer.Status != 200)
            throw socket.Refusal(answer);
        ValidateLicenseResponse response = Read(answer, LocalAnswerJsonContext.Wire.ValidateLicenseResponse);
        if (response.Nonce != nonce)
            throw NotThisAgents();
        if (json)
            calls.Context.Screen.Answer(answer.Body);
        else
            Show(calls.Context.Screen, response, calls.Context.WallClock);
        return response.Valid ? ExitCodes.Ok : ExitCodes.No;
    }

    private static AgentException NotThisAgents() => new(
        AgentFault.NotUnderstood, "The answer is to another nonce: not this agent's.");

    private static T Read<T>(SocketAnswer answer, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type)
    {
        try
        {
            return StrictJson.Read(answer.Body, type);
        }
        catch (ProtocolException e)
        {
            throw new AgentException(
                AgentFault.NotUnderstood,
                $"The answer is not of this protocol ({e.Message}). Are agent and client of the same version?", e);
        }
    }

    private static string ReadToken(string? path, CliContext context)
    {
        if (path is null && !context.InputIsRedirected)
            throw new UsageException("Give the license token with --token FILE, or on standard input.");
        byte[] bytes;
        if (path is null or "-")
        {
            using Stream input = context.Input();
            bytes = InputFile.Read(input, "The token", LocalApiLimits.RequestBytes);
        }
        else
        {
            bytes = InputFile.Read(path, LocalApiLimits.RequestBytes);
        }
        ReadOnlySpan<byte> token = bytes.AsSpan().Trim(" \t\r\n"u8);
        if (token.IsEmpty)
            throw new UsageException("There is no license token in what was given.");

        // A token has no other characters; what else there is would make a request that no application sends.
        return token.ContainsAnyExceptInRange((byte)'!', (byte)'~')
            ? throw new UsageException("What was given is no license token: it is one line of printable ASCII.")
            : Encoding.ASCII.GetString(token);
    }

    private static void Show(Screen screen, ValidateLicenseResponse answer, UtcTime now)
    {
        screen.Write(Blocks.Facts(Facts(answer, now)));
        if (answer.RenewedToken is not null)
        {
            screen.Line();
            screen.Line("The token is under an older secret. --json shows it renewed; the application stores that.");
        }
    }

    private static IEnumerable<(string Name, IRenderable? Value)> Facts(ValidateLicenseResponse answer, UtcTime now)
    {
        yield return ("answer", Blocks.Text(answer.Reason, Colors.OfReason(answer.Reason)));
        yield return ("what to do", answer.Valid ? null : Blocks.Text(Remedies.OfValidation(answer.Reason)));
        yield return ("license", answer.LicenseId is null ? null : Blocks.Text(answer.LicenseId));
        yield return ("product", answer.Product is null ? null : Blocks.Text(answer.Product));
        yield return ("features", answer.Features is null ? null : Blocks.Text(List(answer.Features)));
        yield return ("metadata", answer.Metadata is not { Count: > 0 } metadata
            ? null
            : new Spectre.Console.Rows(metadata.Select(pair => Blocks.Text($"{pair.Key} = {pair.Value}"))));
        yield return ("expires", answer.ExpiresAt is null ? null : Blocks.Time(answer.ExpiresAt, now));
        yield return ("usable until", answer.UsableUntil is null ? null : Blocks.Time(answer.UsableUntil, now));
        yield return ("secret version", answer.SecretVersion is null ? null : Blocks.Number(answer.SecretVersion));
        yield return ("mode", Blocks.Text(answer.Mode, Colors.OfMode(answer.Mode)));
        yield return ("protection", Blocks.Text(answer.Protection));
    }

    private static string List(IReadOnlyList<string> features) =>
        features.Count == 0 ? "none" : string.Join(", ", features);
}
