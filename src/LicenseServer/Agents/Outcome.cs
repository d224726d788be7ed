using System.Text.Json;
using System.Text.Json.Serialization;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using LicenseServer.Licenses;

namespace LicenseServer.Agents;

/// <summary>
/// What a request came to, without what differs per attempt (nonce, server time, the wrapping of a secret). This is
/// what is kept for retries: the answer is made from it anew each time.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "outcome")]
[JsonDerivedType(typeof(Prepared), "prepared")]
[JsonDerivedType(typeof(Confirmed), "confirmed")]
[JsonDerivedType(typeof(Rejected), "rejected")]
[JsonDerivedType(typeof(Enrolled), "enrolled")]
internal abstract record Outcome
{
    /// <summary>A version given out; its secret is derived again whenever it is sent.</summary>
    internal sealed record Prepared(
        long Version, int Epoch, Kcv Kcv, UtcTime ValidFrom, UtcTime ValidUntil, UtcTime GraceUntil, UtcTime ConfirmBy)
        : Outcome;

    internal sealed record Confirmed(
        long Version, UtcTime ValidFrom, UtcTime ValidUntil, UtcTime GraceUntil,
        IReadOnlyList<PreviousVersion> Previous, long MinValidVersion) : Outcome;

    internal sealed record Rejected(long Version) : Outcome;

    internal sealed record Enrolled(IReadOnlyList<string> CertificateChain, AgentPolicy Policy, long HighestVersion)
        : Outcome;

    /// <summary>Never kept: a check-in is a report and its answer a level, so a retry gets the levels of now.</summary>
    internal sealed record CheckedIn(
        IReadOnlyList<Directive> Directives, long KeysetVersion, Witness Witness, int NextCheckInS,
        RevocationList? Revocations, string Fallback) : Outcome;

    /// <summary>Never kept: signing again is answering again, and a retry may bring another request.</summary>
    internal sealed record CertificateRenewed(IReadOnlyList<string> CertificateChain) : Outcome;

    /// <summary>Never kept: a look at a license changes nothing.</summary>
    internal sealed record Validated(LicenseJudgement Judgement) : Outcome;

    /// <summary>Never kept: wrapping the same license twice is harmless, and tokens do not belong in the
    /// database.</summary>
    internal sealed record Renewed(string Token, long Version) : Outcome;

    internal sealed record Status(IReadOnlyList<VersionStatus> Versions) : Outcome;

    /// <summary>A signed refusal; it changed nothing, so a retry is judged again.</summary>
    internal sealed record Refused(string Error, string Detail) : Outcome
    {
        public int? RetryAfterS { get; init; }

        public long? ActiveVersion { get; init; }

        public long? HighestVersion { get; init; }
    }

    /// <summary>An answer without a signature: for those who did not prove who they are, and for what is no
    /// request.</summary>
    internal sealed record Unsigned(int HttpStatus, string Detail) : Outcome
    {
        public int? RetryAfterS { get; init; }
    }
}

[JsonSerializable(typeof(Outcome))]
[JsonSerializable(typeof(ClockEvidence))]
[JsonSerializable(typeof(string[]))]
internal sealed partial class OutcomeJsonContext : JsonSerializerContext
{
    public static string Write(Outcome outcome) => JsonSerializer.Serialize(outcome, Default.Outcome);

    public static Outcome Read(string json) => JsonSerializer.Deserialize(json, Default.Outcome)
        ?? throw new JsonException("a stored outcome is null");
}
