using System.Security.Cryptography;
using LicenseAgent.Core;
using LicenseAgent.Daemon.Config;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.State;
using LicenseAgent.Daemon.Upstream;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Enrolment;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Messages;

namespace LicenseAgent.Daemon.Enrolment;

/// <summary>What an enrolment left behind: the identity is durable, the first generation is not written yet.</summary>
internal sealed record EnrolledTill(AgentFile Agent, TpmFacts Tpm, UtcTime ServerTime, long SentBootMs);

/// <summary>
/// The one-time act that gives a till its identity. Every step is durable before the next: a crash anywhere goes on
/// with the same keys and the same request id, and the server gives the same outcome.
/// </summary>
internal sealed class Enroller(AgentPorts ports, AgentConfig config, UtcTime buildTime)
{
    private readonly TillFiles _files = new(ports.StateFiles);

    /// <summary>What was last made durable here; <see langword="null"/> while nothing has changed.</summary>
    public AgentFile? Saved { get; private set; }

    /// <summary>
    /// Begins with what an operator brought. Nothing changes when the bundle is wrong, when the server does not show
    /// its keyset, or when the TPM of an earlier enrolment still works and nobody insists.
    /// </summary>
    public async Task<AgentFile> BeginAsync(EnrollCall call, CancellationToken cancel)
    {
        EnrollmentBundle bundle = call.Bundle;
        AgentFile? before = await ReadBeforeAsync(call, cancel);
        BundleCheck.Require(bundle, config, buildTime);
        if (before is { Phase: EnrollmentPhase.Enrolled })
        {
            await RequireReplaceableAsync(before, call, cancel);
        }

        Configure(bundle.ServerUrl, bundle.ServerName, bundle.Pins, bundle.CaCert, null);
        TrustedChain chain = await Keysets().GetAsync(bundle.Keyset, cancel);
        AgentFile agent = await MakeKeysAsync(call, before, cancel);
        await ports.StateFiles.ReplaceAsync(TillFiles.Keysets, chain.Write(), cancel);
        await _files.EnsureTlsKeyAsync(cancel);
        agent = agent with
        {
            Phase = EnrollmentPhase.Enrolling,
            Enrollment = new OpenEnrollment(bundle.EnrollmentToken, NewRequestId(), bundle.ExpiresAt),
        };
        await SaveAsync(agent, cancel);
        return agent;
    }

    /// <summary>Sends the request and makes the outcome durable; repeated until there is one.</summary>
    /// <exception cref="NoContactException">No signed answer: it goes on later with the same request.</exception>
    /// <exception cref="EnrollmentRefusedException">The server said no.</exception>
    public async Task<EnrolledTill> FinishAsync(AgentFile agent, CancellationToken cancel)
    {
        OpenEnrollment open = agent.Enrollment ?? throw new InvariantBroken("There is no open enrolment.");
        Configure(agent.ServerUrl, agent.ServerName, agent.Pins, agent.CaCert, null);
        TpmFacts tpm = await ports.TpmKeys.OpenAsync(agent.Anchor(), cancel);
        TrustedChain chain = await _files.ReadKeysetsAsync(agent.KeysetPin, ports.VerifyEs256, cancel)
            ?? await Keysets().FetchAsync(agent.KeysetPin, cancel);
        TrustedServer server = new(chain, agent.AgentId, ports.VerifyEs256);
        string csr = Base64UrlText.Encode(await _files.CertificateRequestAsync(agent.AgentId, cancel));
        (ServerAnswer answer, long sent) = await ExchangeAsync(server, agent, open, csr, RequestTime(), cancel);
        if (answer is RefusalAnswer { Error: ServerErrors.ClockSkew } skew)
        {
            (answer, sent) = await ExchangeAsync(server, agent, open, csr, skew.ServerTime, cancel);
        }

        return answer switch
        {
            EnrollAnswer a => await KeepAsync(agent, a, sent, tpm, cancel),
            RefusalAnswer r => throw await RefusedAsync(agent, r, cancel),
            _ => throw new InvariantBroken($"{answer.GetType().Name} does not answer an enrolment."),
        };
    }

    /// <summary>
    /// An identity is given up only for a TPM that is certainly another, or was cleared, and where it cannot be shown
    /// to the server any more. A TPM that does not answer may be the right one tomorrow.
    /// </summary>
    private async Task RequireReplaceableAsync(AgentFile before, EnrollCall call, CancellationToken cancel)
    {
        if (call.Bundle.AgentId != before.AgentId)
        {
            throw new BundleException(
                $"The bundle is for {call.Bundle.AgentId}, this till is {before.AgentId}. Have license-server agents "
                + $"add {before.AgentId} --replace make one.");
        }

        bool works;
        try
        {
            await ports.TpmKeys.OpenAsync(before.Anchor(), cancel);
            works = true;
        }
        catch (TpmUnavailableException e) when (e.Trouble == TpmTrouble.Replaced)
        {
            works = false;
        }

        if (works && call.Force != true && await HasCertificateAsync(cancel))
        {
            throw new TpmWorksException();
        }
    }

    private async Task<bool> HasCertificateAsync(CancellationToken cancel) =>
        config.Server.ClientPem is not null || (await new TlsFiles(ports.StateFiles).ReadAsync(cancel)).Count > 0;

    /// <summary>A damaged identity is taken for none by who asks for a new one.</summary>
    private async Task<AgentFile?> ReadBeforeAsync(EnrollCall call, CancellationToken cancel)
    {
        try
        {
            return await _files.ReadAgentAsync(cancel);
        }
        catch (IdentityDamagedException) when (call.Replace == true)
        {
            return null;
        }
    }

    private async Task<AgentFile> MakeKeysAsync(EnrollCall call, AgentFile? before, CancellationToken cancel)
    {
        EnrollmentBundle bundle = call.Bundle;
        bool replace = call.Replace == true;
        AgentFile agent = new(
            AgentFile.CurrentFormat, EnrollmentPhase.MakingKeys, bundle.AgentId, bundle.ServerUrl, bundle.ServerName,
            bundle.Pins, bundle.CaCert, bundle.Keyset, null, replace ? null : before?.Keys,
            (replace ? null : before?.KeyAuth) ?? RandomKey(), before?.AuditKey ?? RandomKey(), null, 0, 0);
        if (agent.Keys is not null)
        {
            return agent;
        }

        // The auth value first: a crash while the TPM makes keys must not leave keys that nobody can use.
        await SaveAsync(agent, cancel);
        byte[] auth = new byte[Digest32.Length];
        agent.KeyAuth.CopyTo(auth);
        TpmBirth birth = await ports.TpmKeys.ProvisionAsync(auth, call.OwnerAuth, replace, cancel);
        agent = agent with
        {
            Keys = new TillKeys(
                birth.Signing, birth.Decryption, birth.Anchor.SrkName, birth.Anchor.SigningName,
                birth.Anchor.DecryptionName),
        };
        await SaveAsync(agent, cancel);
        return agent;
    }

    private async Task SaveAsync(AgentFile agent, CancellationToken cancel)
    {
        await _files.SaveAgentAsync(agent, cancel);
        Saved = agent;
    }

    private async Task<(ServerAnswer Answer, long SentBootMs)> ExchangeAsync(
        TrustedServer server, AgentFile agent, OpenEnrollment open, string csr, UtcTime time,
        CancellationToken cancel)
    {
        AgentKeyPair? software = await SoftwareKeysAsync(agent.AgentId, cancel);
        Nonce16 nonce = await new NonceSource(ports.Randomness, ports.TpmClock).NextAsync(cancel);
        EnrollRequest request = new(
            agent.AgentId, open.RequestId, nonce, time, AgentActions.Enroll, open.Token,
            new AgentKeys(agent.Keys!.Signing, agent.Keys.Decryption, software), csr, agent.Keys.SrkName);
        byte[] body = await new RequestSigner(ports.TpmKeys).SignAsync(request, cancel);
        long sent = ports.BootClock.BootMs;
        UpstreamAnswer answer = await ports.Upstream.ExchangeAsync(
            "POST", AgentPaths.Enroll, body, config.Server.Timeout, cancel);
        return (server.Read(answer.Body, request), sent);
    }

    /// <summary>Keys for a lost TPM are registered with the identity. Private halves do not stay in memory.</summary>
    private async Task<AgentKeyPair?> SoftwareKeysAsync(string agentId, CancellationToken cancel)
    {
        if (ports.Fallback is not { } fallback)
        {
            return null;
        }

        AgentKeyPair keys = await fallback.Keys.OpenAsync(agentId, anew: false, cancel);
        fallback.Keys.Close();
        return keys;
    }

    private async Task<EnrolledTill> KeepAsync(
        AgentFile agent, EnrollAnswer answer, long sentBootMs, TpmFacts tpm, CancellationToken cancel)
    {
        await _files.SaveCertificateAsync(answer.CertificateChain, cancel);
        foreach (string name in (string[])[StateStore.NewName, StateStore.StateName, StateStore.BackupName])
        {
            // The state of an enrolment before this one belongs to a TPM, or a counter, that is no more.
            await ports.StateFiles.EraseAsync(name, cancel);
        }

        AgentFile enrolled = agent with
        {
            Phase = EnrollmentPhase.Enrolled,
            Enrollment = null,
            Policy = answer.Policy,
            Highest = answer.HighestVersion,
            Counter = await ports.TpmMemory.ReadCounterAsync(cancel),
        };
        await SaveAsync(enrolled, cancel);
        return new EnrolledTill(enrolled, tpm, answer.ServerTime, sentBootMs);
    }

    private async Task<EnrollmentRefusedException> RefusedAsync(
        AgentFile agent, RefusalAnswer refusal, CancellationToken cancel)
    {
        bool passing = refusal.Error is ServerErrors.RateLimited or ServerErrors.Replay or ServerErrors.ClockSkew;
        if (!passing)
        {
            await SaveAsync(agent with { Phase = EnrollmentPhase.Refused, Enrollment = null }, cancel);
        }

        return new EnrollmentRefusedException(
            $"The license server refused the enrolment: {refusal.Error}, {refusal.Detail}", passing);
    }

    private KeysetFetch Keysets() => new(ports, () => config.Server);

    private void Configure(
        string url, string name, IReadOnlyList<string> pins, string ca, ReadOnlyMemory<byte>? client) =>
        ports.Upstream.Configure(ServerAddress.Of(config.Server, url, name, pins, [], ca, client, buildTime));

    private UtcTime RequestTime() => UtcTime.Max(UtcTime.From(ports.Time.GetUtcNow()), buildTime);

    private Digest32 RandomKey()
    {
        Span<byte> key = stackalloc byte[Digest32.Length];
        ports.Randomness.Fill(key);
        Digest32 kept = Digest32.From(key);
        CryptographicOperations.ZeroMemory(key);
        return kept;
    }

    private string NewRequestId()
    {
        Span<byte> random = stackalloc byte[10];
        ports.Randomness.Fill(random);
        return RequestId.From(RequestTime(), random);
    }
}

/// <summary>The keys of this till are in its TPM and usable: nobody lost anything.</summary>
internal sealed class TpmWorksException()
    : EnvironmentException("tpm_works", "The TPM of this till works.", retryable: false, null);

/// <summary>The server said no to an enrolment.</summary>
internal sealed class EnrollmentRefusedException(string message, bool passing)
    : EnvironmentException("refused", message, retryable: passing, null);
