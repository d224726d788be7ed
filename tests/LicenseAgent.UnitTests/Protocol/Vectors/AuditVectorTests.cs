using System.Text.Json.Nodes;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Management;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Protocol.Vectors;

public sealed class AuditVectorTests
{
    private static readonly JsonObject File = VectorFile.Read(AuditVectors.FileName);

    public static TheoryData<string> Names() => [.. Rows().Select(row => row["name"].String())];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_log_has_the_outcome_that_its_vector_says(string name)
    {
        JsonNode row = Rows().Single(r => r["name"].String() == name);
        using var verifier = new AuditVerifier(
            new AuditTrust(AuditVectors.AgentId, SigningKey(), Es256.Verify, [.. Anchors(row)]));
        foreach (JsonNode? segment in row["segments"]!.AsArray())
        {
            verifier.BeginSegment(segment!["name"].String());
            verifier.Add(TokenParts.Utf8(segment["text"].String()));
        }
        AuditVerifyResponse result = verifier.Finish();
        string[] expected = row["outcome"] is JsonArray findings ? [.. findings.Select(f => f.String())] : [];
        Assert.Equal(expected, result.Findings.Select(f => $"{f.File}:{f.Line} {f.Code}"));
    }

    [Fact]
    public void The_genesis_is_what_the_vectors_say() => Assert.Equal(
        File["genesis"].String(),
        AuditFormat.Genesis(AuditVectors.AgentId, SigningKey().Thumbprint().ToString()).ToString());

    [Fact]
    public void The_file_is_what_the_generator_makes() =>
        Assert.Equal(VectorFile.Text(AuditVectors.File()), VectorFile.ReadText(AuditVectors.FileName));

    /// <summary>Run with <c>-explicit only</c> after a change of the generator, and read the difference.</summary>
    [Fact(Explicit = true)]
    public void Write_the_file_anew() => VectorFile.Write(AuditVectors.FileName, AuditVectors.File());

    private static EcPublicJwk SigningKey() =>
        new("P-256", "EC", File["signing_key"]!["x"].String(), File["signing_key"]!["y"].String());

    private static IEnumerable<AuditAnchor> Anchors(JsonNode row)
    {
        foreach (JsonNode? anchor in row["anchors"]!.AsArray())
        {
            Assert.True(Digest32.TryParse(anchor!["head"].String(), out Digest32 head));
            yield return new AuditAnchor("anchor", new AuditPoint(anchor["seq"]!.GetValue<long>(), head));
        }
    }

    private static IEnumerable<JsonNode> Rows() => File["logs"]!.AsArray().Select(row => row!);
}
