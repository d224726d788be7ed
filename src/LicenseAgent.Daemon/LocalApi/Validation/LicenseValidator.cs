using System.Security.Cryptography;
using LicenseAgent.Core;
using LicenseAgent.Daemon.Ports;
using LicenseAgent.Daemon.Secrets;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Local;
using LicenseAgent.Protocol.Messages;
using LicenseAgent.Protocol.Tokens;

namespace LicenseAgent.Daemon.LocalApi.Validation;

/// <summary>
/// Judges license tokens on any thread, from one snapshot, without a lock that the loop holds and without the TPM. The
/// order is fixed: mode, token shape, kid, open and verify, audience, revocation, times. Nonce and rate come before and
/// are not its concern.
/// </summary>
internal sealed class LicenseValidator(IRandomness randomness, Es256Verify verify, TokenTagger tag)
{
    // A token minted a moment ago by a server whose clock is a little ahead begins at once.
    private static readonly TimeSpan NotBeforeLeeway = TimeSpan.FromSeconds(300);

    private const int IvBytes = 12, TagBytes = 16;

    private readonly VerifiedTokens _verified = new();

    public Verdict Judge(ReadOnlySpan<byte> token, in Moment at)
    {
        AgentSnapshot snapshot = at.Snapshot;
        AgentMode mode = snapshot.Mode.At(at.TrustedNow);
        var refused = new Verdict(
            ValidationReasons.InvalidToken, mode, snapshot.Active?.Protection ?? Protections.Tpm);
        if (ClosedBy(mode, snapshot.Mode) is { } closed)
            return refused with { Reason = closed };

        // Judging the shape again could give no other result: the digest is over all of the token's bytes.
        Digest32 digest = Digest32.Sha256(token);
        if (_verified.Find(digest, snapshot.KeysetVersion) is { } known)
        {
            return Secret(known.Kid, snapshot, at.TrustedNow) is { } held
                ? JudgeLicense(known, held, at, mode)
                : refused with { Reason = WhyNotHeld(known.Kid, snapshot, at.TrustedNow) };
        }
        return JudgeNew(token, digest, at, refused);
    }

    /// <summary>What stands in the audit log for a token, verified or not.</summary>
    public TokenTag TagOf(ReadOnlySpan<byte> token, in Verdict verdict) => verdict.Token?.Tag ?? tag(token);

    private Verdict JudgeNew(ReadOnlySpan<byte> token, Digest32 digest, in Moment at, in Verdict refused)
    {
        AgentSnapshot snapshot = at.Snapshot;
        if (!LicenseToken.TryParseShape(token, out LicenseTokenShape shape))
            return refused;
        if (shape.AgentId != snapshot.AgentId)
            return refused with { Reason = ValidationReasons.WrongAgent };
        if (shape.Version > snapshot.HighestVersion)
            return refused with { Reason = ValidationReasons.UnknownSecret };
        if (Secret(shape.Kid, snapshot, at.TrustedNow) is not { } secret)
            return refused with { Reason = WhyNotHeld(shape.Kid, snapshot, at.TrustedNow) };

        VerifiedLicense? license;
        try
        {
            using SecretLease key = secret.TokenKey.Open();
            using var gcm = new AesGcm(key.Bytes, TagBytes);
            if (LicenseOpening.Open(shape, gcm, snapshot.LicenseKeys.GetValueOrDefault, verify, out license)
                != LicenseOutcome.Opened)
            {
                return refused with { Protection = secret.Protection };
            }
        }
        catch (ObjectDisposedException)
        {
            // The loop erased the secret after this snapshot was taken.
            return refused with { Reason = ValidationReasons.SecretInvalidated };
        }

        var verified = new VerifiedToken(
            license!, shape.Kid, shape.Version, snapshot.KeysetVersion, tag(token));
        _verified.Add(digest, verified);
        return JudgeLicense(verified, secret, at, refused.Mode);
    }

    private Verdict JudgeLicense(VerifiedToken token, UsableSecret secret, in Moment at, AgentMode mode)
    {
        var verdict = new Verdict(WhyNot(token.Claims, at) ?? ValidationReasons.Valid, mode, secret.Protection, token);
        if (!verdict.IsValid)
            return verdict;
        UtcTime end = UtcTime.Min(token.Claims.ExpiresAt, secret.End);
        return verdict with
        {
            UsableUntil = UtcTime.Min(end, at.Snapshot.Mode.UsableUntil(at.TrustedNow) ?? end),
            RenewedToken = secret.State == SecretState.Grace ? Renew(token, at.Snapshot.Active) : null,
        };
    }

    private static string? WhyNot(LicenseClaims claims, in Moment at)
    {
        if (!claims.IsFor(at.Snapshot.AgentId))
            return ValidationReasons.WrongAgent;
        if (at.Snapshot.RevokedLicenses.Contains(claims.Sub))
            return ValidationReasons.Revoked;
        if (at.TrustedNow >= claims.ExpiresAt)
            return ValidationReasons.Expired;
        return claims.NotBefore - NotBeforeLeeway > UtcTime.Max(at.TrustedNow, at.WallClock)
            ? ValidationReasons.NotYetValid
            : null;
    }

    /// <summary>The reason with which a mode answers every token.</summary>
    private static string? ClosedBy(AgentMode mode, ModeFacts facts) => mode switch
    {
        AgentMode.Exhausted => ValidationReasons.GraceExhausted,
        AgentMode.Locked when facts.ReasonWhenLocked == LockReason.NoSecret => ValidationReasons.NoSecret,
        AgentMode.Locked => ValidationReasons.Locked,
        _ => null,
    };

    /// <summary>A secret past its end opens nothing, erased already or not.</summary>
    private static UsableSecret? Secret(string kid, AgentSnapshot snapshot, UtcTime trustedNow) =>
        snapshot.Secrets.TryGetValue(kid, out UsableSecret? secret) && trustedNow < secret.End ? secret : null;

    /// <summary>
    /// What a start has not read yet is there and cannot be used: an application that was told INVALIDATED would give
    /// up a good token.
    /// </summary>
    private static string WhyNotHeld(string kid, AgentSnapshot snapshot, UtcTime trustedNow) =>
        snapshot.Awaited.TryGetValue(kid, out UtcTime end) && trustedNow < end
            ? ValidationReasons.Locked
            : ValidationReasons.SecretInvalidated;

    private byte[]? Renew(VerifiedToken token, UsableSecret? active)
    {
        if (active is null)
            return null;
        if (token.RenewedUnder(active.Kid) is { } made)
            return made;
        Span<byte> iv = stackalloc byte[IvBytes];
        randomness.Fill(iv);
        try
        {
            using SecretLease key = active.TokenKey.Open();
            using var gcm = new AesGcm(key.Bytes, TagBytes);
            byte[] renewed = System.Text.Encoding.ASCII.GetBytes(
                LicenseToken.Rewrap(token.InnerJws, active.Kid, gcm, iv));
            token.KeepRenewed(active.Kid, renewed);
            return renewed;
        }
        catch (ObjectDisposedException)
        {
            // Erased since the snapshot: the next answer renews under its successor.
            return null;
        }
        catch (ProtocolException e) when (e.Code == "token_too_long")
        {
            // Somebody minted right up to the limit; the license stays good under its own secret.
            return null;
        }
    }
}

/// <summary>Stands for a token in the audit log: a keyed hash, so that the log does not give tokens away.</summary>
internal delegate TokenTag TokenTagger(ReadOnlySpan<byte> token);
