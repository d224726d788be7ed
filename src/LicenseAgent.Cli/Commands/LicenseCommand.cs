using System.CommandLine;
using System.Security.Cryptography;
using System.Text;
using LicenseAgent.Cli.Display;
using LicenseAgent.Client;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Local;
using Spectre.Console.Rendering;

namespace LicenseAgent.Cli.Commands;

/// <summary><c>license validate</c>: what an application would be told, on its own socket.</summary>
internal static class LicenseCommand
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    public static Command Create(AgentCalls calls)
    {
        var token = new Option<string?>("--token")
        {
            Description = "A file with the license token, or - for standard input (the default)",
            HelpName = "FILE",
        };
        var socket = new Option<string>("--pos-socket")
        {
            Description = "The socket that applications use",
            HelpName = "PATH",
            DefaultValueFactory = _ => LicenseAgentClientOptions.DefaultSocketPath,
        };
        var validate = new Command("validate", "Validate a license as an application would; exit code 1 if invalid")
        {
            token, socket,
        };
        validate.SetAction((parsed, cancel) => ValidateAsync(
            calls, calls.IsJson(parsed), ReadToken(parsed.GetValue(token), calls.Context),
            AgentCalls.RequireSocketPath(parsed.GetValue(socket)!, "--pos-socket"), cancel));
        return new Command("license", "Licenses") { validate };
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
        ValidateLicenseResponse response = Read(answer, nonce);
        if (json)
            calls.Context.Screen.Answer(answer.Body);
        else
            Show(calls.Context.Screen, response, calls.Context.WallClock);
        return response.Valid ? ExitCodes.Ok : ExitCodes.No;
    }

    private static ValidateLicenseResponse Read(SocketAnswer answer, Nonce16 nonce)
    {
        try
        {
            ValidateLicenseResponse response =
                StrictJson.Read(answer.Body, LocalAnswerJsonContext.Wire.ValidateLicenseResponse);
            return response.Nonce == nonce
                ? response
                : throw new AgentException(
                    AgentFault.NotUnderstood, "The answer is to another nonce: not this agent's.");
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
