using System.Security.Cryptography;
using System.Text.Json.Nodes;
using LicenseAgent.Protocol.Encoding;

namespace LicenseAgent.UnitTests.Protocol.Vectors;

/// <summary>
/// Makes <c>tests/vectors/audit.json</c>: audit logs, whole and tampered with, each with what verification finds. Lines
/// are put together and hashed here, without the code under test.
/// </summary>
internal static class AuditVectors
{
    public const string FileName = "audit.json";
    public const string AgentId = "pos-001";

    private static readonly FixedEcKey Key = FixedEcKey.Named("audit");

    public static JsonObject File() => new()
    {
        ["about"] = "Audit logs. The outcome: accepted, or the findings, each \"FILE:LINE code\". Anchors are points "
            + "remembered outside the log. hash = SHA-256(32 bytes of prev, then the line up to ,\"hash\":)."
            + " Binary is base64url.",
        ["agent_id"] = AgentId,
        ["signing_key"] = new JsonObject
        {
            ["crv"] = "P-256",
            ["kty"] = "EC",
            ["x"] = Key.Public.X,
            ["y"] = Key.Public.Y,
        },
        ["genesis"] = Text(Genesis()),
        ["logs"] = new JsonArray([.. Rows().Select(Row)]),
    };

    private static IEnumerable<Log> Rows()
    {
        string[] good = Good();
        (long, string)[] end = [(6, HashOf(good[5]))];
        (long, string)[] other = [(2, HashOf(good[0]))];
        string[] foreign = Chain(1, SHA256.HashData("license-agent/audit/v1|pos-002|x"u8), "agent_started");
        return
        [
            new("empty", [], [("audit.log", "")]),
            new("whole", [], [("audit.log", Joined(good))], end),
            new("two_segments", [], [("audit-1.log", Joined(good[..4])), ("audit.log", Joined(good[4..]))], end),
            new("torn_tail", [], [("audit.log", Joined(good)[..^20])]),
            new("torn_before_newline", [], [("audit.log", Joined(good)[..^1])]),
            new("record_of_anchor_torn", ["audit.log:5 tail_cut"], [("audit.log", Joined(good)[..^1])], end),
            new("tail_cut_without_anchor", [], [("audit.log", Joined(good[..5]))]),
            new("tail_cut", ["audit.log:5 tail_cut"], [("audit.log", Joined(good[..5]))], end),
            new("other_history", ["audit.log:2 anchor_mismatch"], [("audit.log", Joined(good))], other),
            new("byte_flipped", ["audit.log:2 altered"],
                [("audit.log", Joined(good).Replace("\"EXPIRED\"", "\"EXPIREE\"", StringComparison.Ordinal))]),
            new("blank_inserted", ["audit.log:2 malformed"],
                [("audit.log", Joined(good).Replace("\"seq\":2", "\"seq\": 2", StringComparison.Ordinal))]),
            new("line_removed", ["audit.log:5 missing"], [("audit.log", Joined([.. good[..4], good[5]]))]),
            new("first_line_removed", ["audit.log:1 wrong_beginning"], [("audit.log", Joined(good[1..]))]),
            new("line_repeated", ["audit.log:6 out_of_order", "audit.log:7 chain_broken"],
                [("audit.log", Joined([.. good[..5], good[2], Chain(4, Bytes(good[4]), "x")[0]]))]),
            new("line_replaced", ["audit.log:6 chain_broken"],
                [("audit.log", Joined([.. good[..4], Chain(5, Bytes(good[3]), "forged")[0], good[5]]))]),
            new("segment_missing", ["audit.log:1 segment_missing"],
                [("audit-1.log", Joined(good[..3])), ("audit.log", Joined(good[5..]))]),
            new("log_of_another_agent", ["audit.log:1 wrong_beginning"], [("audit.log", Joined(foreign))]),
            new("checkpoint_of_a_stranger", ["audit.log:2 checkpoint_signature"],
                [("audit.log", Joined(WithCheckpoint(TokenParts.Attacker)))]),
            new("checkpoint_of_other_content", ["audit.log:2 checkpoint_content"],
                [("audit.log", Joined(WithCheckpoint(Key, head: Text(Genesis()))))]),
        ];
    }

    private static JsonObject Row(Log log) => new()
    {
        ["name"] = log.Name,
        ["outcome"] = log.Findings.Length == 0
            ? "accepted"
            : new JsonArray([.. log.Findings.Select(f => JsonValue.Create(f))]),
        ["anchors"] = new JsonArray([.. (log.Anchors ?? []).Select(a =>
            new JsonObject { ["seq"] = a.Seq, ["head"] = a.Head })]),
        ["segments"] = new JsonArray([.. log.Segments.Select(s =>
            new JsonObject { ["name"] = s.Name, ["text"] = s.Text })]),
    };

    /// <summary>Start, two validations, a checkpoint, a rotation, a stop.</summary>
    private static string[] Good()
    {
        string[] first = new string[6];
        first[0] = Line(1, Genesis(), "agent_started", "null", Agent, "ok", """{"clean":true,"continues":0}""");
        first[1] = Line(2, Bytes(first[0]), "license_validated", "null", App, "refused",
            """{"nonce":"AAECAwQFBgcICQoLDA0ODw","token":"AAAAAAAAAAAAAAAAAAAAAA","reason":"EXPIRED","""
                + "\"license_id\":\"lic-1\",\"secret_version\":7}");
        first[2] = Line(3, Bytes(first[1]), "management_called", "\"018f\"", Operator, "ok",
            """{"path":"/v1/\"x\"\\","note":"Zürich \u0001\n"}""");
        string checkpoint = Checkpoint(Key, 3, HashOf(first[2]));
        first[3] = Line(4, Bytes(first[2]), "checkpoint_written", "null", Agent, "ok", checkpoint);
        first[4] = Line(5, Bytes(first[3]), "generation_committed", "\"generation-8\"", Agent, "ok", "{}");
        first[5] = Line(6, Bytes(first[4]), "agent_stopped", "null", Agent, "ok", "{}");
        return first;
    }

    private static string[] WithCheckpoint(FixedEcKey signer, string? head = null)
    {
        string start = Line(1, Genesis(), "agent_started", "null", Agent, "ok", "{}");
        string details = Checkpoint(signer, 1, head ?? HashOf(start));
        return [start, Line(2, Bytes(start), "checkpoint_written", "null", Agent, "ok", details)];
    }

    private static string[] Chain(long seq, byte[] prev, string what) =>
        [Line(seq, prev, what, "null", Agent, "ok", "{}")];

    private const string Agent = """{"kind":"agent","uid":null,"gid":null,"pid":null,"role":null}""";
    private const string App = """{"kind":"app","uid":1000,"gid":100,"pid":42,"role":null}""";
    private const string Operator = """{"kind":"operator","uid":0,"gid":0,"pid":7,"role":"admin"}""";

    private static string Line(
        long seq, byte[] prev, string what, string op, string actor, string outcome, string details)
    {
        string time = $"\"time\":\"2027-01-15T08:00:0{seq}.000Z\",\"up\":{seq * 1000},\"boot\":\"boot-a\"";
        string hashed = $"{{\"seq\":{seq},{time},\"event\":\"{what}\",\"op\":{op},\"actor\":{actor},"
            + $"\"outcome\":\"{outcome}\",\"details\":{details},\"prev\":\"{Text(prev)}\"";
        return $"{hashed},\"hash\":\"{Text(SHA256.HashData([.. prev, .. TokenParts.Utf8(hashed)]))}\"}}";
    }

    private static string Checkpoint(FixedEcKey signer, long seq, string head)
    {
        string header = TokenParts.Encode($$"""{"alg":"ES256","kid":"{{AgentId}}","typ":"audit-checkpoint+jwt"}""");
        string payload = TokenParts.Encode($"{{\"agent_id\":\"{AgentId}\",\"seq\":{seq},\"head\":\"{head}\","
            + "\"generation\":8,\"reset_count\":2,\"tpm_clock_ms\":5000,\"time\":\"2027-01-15T08:00:03.500Z\"}");
        string signature = Base64UrlText.Encode(signer.Sign(TokenParts.Utf8($"{header}.{payload}")));
        return $$"""{"jws":"{{header}}.{{payload}}.{{signature}}"}""";
    }

    private static byte[] Genesis() =>
        SHA256.HashData(TokenParts.Utf8($"license-agent/audit/v1|{AgentId}|{Key.Kid}"));

    private static string HashOf(string line) => line[^45..^2];

    private static byte[] Bytes(string line) => JsonValue.Create(HashOf(line)).Bytes();

    private static string Text(byte[] bytes) => Base64UrlText.Encode(bytes);

    private static string Joined(string[] lines) => string.Concat(lines.Select(l => l + "\n"));

    private sealed record Log(
        string Name, string[] Findings, (string Name, string Text)[] Segments,
        (long Seq, string Head)[]? Anchors = null);
}
