using System.Runtime.InteropServices;
using System.Text.Json.Serialization.Metadata;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Management;

namespace LicenseAgent.Client;

/// <summary>
/// The management socket, signed in with an operator's certificate where there is one. A session that has ended is
/// replaced once: a call that was refused for it has done nothing. Safe on any thread; two that sign in at once get two
/// sessions.
/// </summary>
internal sealed partial class SignedInSocket(
    string socketPath, string accessRemedy, int connectionsMax, TimeSpan timeout, OperatorCredentials? credentials)
    : IDisposable
{
    private readonly UnixSocketHttp socket = new(socketPath, accessRemedy, connectionsMax);

    private string? session;

    /// <summary>One exchange, whatever the status.</summary>
    public async Task<SocketAnswer> SendAsync(
        HttpMethod method, string path, byte[]? json, TimeSpan limit, CancellationToken cancel)
    {
        if (credentials is null)
            return await socket.SendAsync(method, path, json, limit, cancel).ConfigureAwait(false);
        string known = Volatile.Read(ref session) ?? await SignInAsync(credentials, cancel).ConfigureAwait(false);
        SocketAnswer answer = await socket.SendAsync(method, path, json, limit, cancel, known).ConfigureAwait(false);
        if (answer.Status != 401)
            return answer;
        known = await SignInAsync(credentials, cancel).ConfigureAwait(false);
        return await socket.SendAsync(method, path, json, limit, cancel, known).ConfigureAwait(false);
    }

    public T Read<T>(SocketAnswer answer, JsonTypeInfo<T> type) => socket.Read(answer, type);

    public AgentException Refusal(SocketAnswer answer, bool names = false) => socket.Refusal(answer, names);

    public void Dispose() => socket.Dispose();

    private async Task<string> SignInAsync(OperatorCredentials own, CancellationToken cancel)
    {
        // A challenge belongs to its connection, so these two calls have one of their own.
        using var one = new UnixSocketHttp(socketPath, accessRemedy, connectionsMax: 1);
        ChallengeOutcome asked = await PostAsync(
            one, ManagementPaths.Challenge, "{}"u8.ToArray(), ManagementAnswerJsonContext.Wire.ChallengeOutcome, cancel)
            .ConfigureAwait(false);
        byte[] signature = own.Sign(SignInText.Of(asked.AgentId, EffectiveUid(), asked.Challenge));
        byte[] call = StrictJson.Write(
            new SessionCall(own.Chain, Base64UrlText.Encode(signature)),
            ManagementRequestJsonContext.Wire.SessionCall);
        SessionOutcome begun = await PostAsync(
            one, ManagementPaths.Session, call, ManagementAnswerJsonContext.Wire.SessionOutcome, cancel)
            .ConfigureAwait(false);
        string text = begun.Session.ToString();
        Volatile.Write(ref session, text);
        return text;
    }

    private async Task<T> PostAsync<T>(
        UnixSocketHttp one, string path, byte[] json, JsonTypeInfo<T> type, CancellationToken cancel)
    {
        SocketAnswer answer =
            await one.SendAsync(HttpMethod.Post, path, json, timeout, cancel).ConfigureAwait(false);
        if (answer.Status != 200)
            throw one.Refusal(answer);
        return one.Read(answer, type);
    }

    // The kernel tells the agent the effective UID of who connected; what is signed names it.
    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint EffectiveUid();
}
