using System.Buffers;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using LicenseAgent.Daemon.LocalApi.Operators;
using LicenseAgent.Daemon.LocalApi.Validation;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Json;
using LicenseAgent.Protocol.Management;

namespace LicenseAgent.Daemon.LocalApi.SignIn;

/// <summary>
/// The calls by which an operator signs in with a certificate: a challenge, bound to UID and connection, and a session
/// for who has signed it.
/// </summary>
internal sealed class SignInCalls(LocalContext context, Callers callers, Challenges challenges, Sessions sessions)
{
    // A leaf and three authorities; a request has 16 KiB.
    private const int ChainMax = 4;

    private const int ChallengesFullSeconds = 10, SessionsFullSeconds = 60;

    private static ManagementAnswerJsonContext Answers => ManagementAnswerJsonContext.Wire;

    public LocalAnswer Challenge(in LocalCall call, IBufferWriter<byte> body)
    {
        LocalAnswer? misplaced =
            Shapes.NotPost(call, body) ?? ManagementCalls.NotEmpty(call, body) ?? Needless(call, body);
        if (misplaced is { } refused)
            return refused;
        if (challenges.Make(call.Connection, call.Peer.Uid) is not { } challenge)
            return Problems.Write(Problems.RateLimited, body, ChallengesFullSeconds);
        Moment now = context.Now();
        return Write(
            new ChallengeOutcome(challenge, now.Snapshot.AgentId, now.TrustedNow + Challenges.Lifetime),
            Answers.ChallengeOutcome, body);
    }

    public ManagementOutcome Session(in LocalCall call, IBufferWriter<byte> body)
    {
        if ((Shapes.NotJsonPost(call, body) ?? Needless(call, body)) is { } refused)
            return new(refused);
        long epoch = sessions.Epoch;
        SessionCall asked = StrictJson.Read(call.Body.Span, ManagementRequestJsonContext.Wire.SessionCall);
        if (callers.Authority is not { } authority)
            return new(Problems.Write(Problems.Conflict("management.ca_cert is not set: nobody can sign in."), body));

        // Used up whatever comes of it: nobody tries keys or certificates against one challenge.
        if (challenges.Take(call.Connection, call.Peer.Uid) is not { } challenge)
        {
            return new(Refuse(
                "No challenge waits on this connection: ask for one, and sign it within 60 s, once, on the same one.",
                body));
        }
        X509Certificate2Collection chain = [];
        try
        {
            if (!TryRead(asked.CertificateChain, chain))
            {
                return new(Refuse(
                    $"certificate_chain holds 1 to {ChainMax} certificates, DER in base64url.", body));
            }
            return new(
                Begin(call.Peer.Uid, asked.Signature, (challenge, epoch), authority, chain, body),
                Subject: chain[0].Subject);
        }
        finally
        {
            foreach (X509Certificate2 certificate in chain)
                certificate.Dispose();
        }
    }

    private LocalAnswer Begin(
        uint uid, string signature, (Digest32 Challenge, long Epoch) asked, OperatorAuthority authority,
        X509Certificate2Collection chain, IBufferWriter<byte> body)
    {
        Moment now = context.Now();
        X509Certificate2 own = chain[0];
        Judgement judged = authority.Judge(own, chain, now.TrustedNow);
        if (judged.Operator is not { } who)
            return Refuse(judged.Refusal!, body);
        byte[] text = SignInText.Of(now.Snapshot.AgentId, uid, asked.Challenge);
        if (!Base64UrlText.TryDecode(signature, out byte[] bytes) || !HasSigned(own, text, bytes))
        {
            return Refuse(
                "The signature is not this key's over this challenge; ES256 with P-256 and PS256 with RSA are known.",
                body);
        }
        TimeSpan left = who.Ends - DateTimeOffset.FromUnixTimeMilliseconds(now.TrustedNow.UnixMs);
        TimeSpan lifetime = left < Sessions.Lifetime ? left : Sessions.Lifetime;
        if (sessions.Begin(uid, who, lifetime, asked.Epoch) is not { } session)
        {
            return sessions.Epoch == asked.Epoch
                ? Problems.Write(Problems.RateLimited, body, SessionsFullSeconds)
                : Problems.Write(Problems.SessionEnded, body);
        }
        Role role = Callers.Lower(callers.OfUid(uid), who.Role);
        return role == Role.None
            ? Problems.Write(Problems.PeerNotAllowed, body)
            : Write(
                new SessionOutcome(session, Roles.Word(role)!, now.TrustedNow + lifetime), Answers.SessionOutcome,
                body);
    }

    private static bool HasSigned(X509Certificate2 certificate, byte[] text, byte[] signature)
    {
        try
        {
            return OperatorCertificate.HasSigned(certificate, text, signature);
        }
        catch (CryptographicException)
        {
            // A key that is no point of its curve, a signature of another length: not signed.
            return false;
        }
    }

    private static bool TryRead(IReadOnlyList<string> texts, X509Certificate2Collection into)
    {
        if (texts.Count is 0 or > ChainMax)
            return false;
        foreach (string text in texts)
        {
            if (!Base64UrlText.TryDecode(text, out byte[] der))
                return false;
            try
            {
                into.Add(X509CertificateLoader.LoadCertificate(der));
            }
            catch (CryptographicException)
            {
                // The answer to the question asked.
                return false;
            }
        }
        return true;
    }

    private static LocalAnswer? Needless(in LocalCall call, IBufferWriter<byte> body) => call.Certificate is null
        ? null
        : Problems.Write(Problems.Conflict("This connection has its certificate: no session is needed."), body);

    private static LocalAnswer Refuse(string why, IBufferWriter<byte> body) =>
        Problems.Write(Problems.SignInRefused(why), body);

    private static LocalAnswer Write<T>(
        T value, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type, IBufferWriter<byte> body)
    {
        body.Write(StrictJson.Write(value, type));
        return LocalAnswer.Ok;
    }
}
