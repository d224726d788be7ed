using System.Security.Cryptography;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using LicenseAgent.Protocol.Audit;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Messages;
using Xunit;

namespace LicenseAgent.UnitTests.Protocol.Audit;

public sealed class AuditLineTests
{
    private static readonly UtcTime Time = new(1_800_000_000_123);

    [Fact]
    public void A_record_is_written_byte_for_byte_as_the_format_says()
    {
        var entry = new AuditEntry(
            "management_called", "018f-1", AuditActor.Operator(1000, 100, 42, "admin"), AuditOutcome.Refused,
            new AuditDetails
            {
                { "path", "/v1/\"rotate\"" }, { "force", true }, { "version", 7 }, { "x", (string?)null },
            });
        Digest32 genesis = AuditFormat.Genesis("pos-001", "thumb");
        string hashed = "{\"seq\":1,\"time\":\"2027-01-15T08:00:00.123Z\",\"up\":77,\"boot\":\"b\","
            + "\"event\":\"management_called\",\"op\":\"018f-1\",\"actor\":{\"kind\":\"operator\",\"uid\":1000,"
            + "\"gid\":100,\"pid\":42,\"role\":\"admin\"},\"outcome\":\"refused\",\"details\":{\"path\":"
            + "\"/v1/\\\"rotate\\\"\",\"force\":true,\"version\":7,\"x\":null},\"prev\":\"" + genesis + "\"";
        byte[] prev = SHA256.HashData("license-agent/audit/v1|pos-001|thumb"u8);
        string hash = Base64UrlText.Encode(SHA256.HashData([.. prev, .. System.Text.Encoding.UTF8.GetBytes(hashed)]));
        Assert.Equal($"{hashed},\"hash\":\"{hash}\"}}\n", System.Text.Encoding.UTF8.GetString(Write(entry)));
    }

    [Fact]
    public void A_validation_tells_who_asked_with_which_nonce_and_what_the_answer_was()
    {
        Nonce16 nonce = Nonce16.From([.. Enumerable.Range(0, 16).Select(i => (byte)i)]);
        var tag = TokenTag.Of("audit key"u8, "token"u8);
        using var chain = new AuditChain(new AuditPoint(0, default), "b");
        byte[] line = new byte[AuditFormat.MaxLineBytes];
        var validation = new AuditedValidation(1000, 100, 42, nonce, tag, "EXPIRED", "lic-1", 7);
        int length = chain.Write(line, Time, 77, in validation);
        Assert.True(AuditLine.TryParse(line.AsSpan(0, length - 1), out AuditLine record));
        Assert.True(record.IsCanonical());
        Assert.Equal("refused", System.Text.Encoding.UTF8.GetString(record.Outcome));
        Assert.True(record.TryGetNonce(out uint uid, out Nonce16 found));
        Assert.Equal((1000u, nonce), (uid, found));
        Assert.Equal(
            $"{{\"nonce\":\"{nonce}\",\"token\":\"{tag}\",\"reason\":\"EXPIRED\","
                + "\"license_id\":\"lic-1\",\"secret_version\":7}",
            System.Text.Encoding.UTF8.GetString(record.Details));
    }

    [Fact]
    public void A_renewal_tells_its_nonce_too()
    {
        byte[] line = Write(new AuditEntry("license_renewal", null, AuditActor.App(1000, 1, 2), AuditOutcome.Ok,
            new AuditDetails { { "nonce", "AAAAAAAAAAAAAAAAAAAAAA" }, { "token", "t" } }));
        Assert.True(AuditLine.TryParse(line.AsSpan(0, line.Length - 1), out AuditLine record));
        Assert.True(record.TryGetNonce(out uint uid, out Nonce16 nonce));
        Assert.Equal((1000u, default(Nonce16)), (uid, nonce));
    }

    [Fact]
    public void Nothing_else_has_a_nonce()
    {
        byte[] line = Write(new AuditEntry("nonce_replayed", null, AuditActor.App(1000, 1, 2), AuditOutcome.Refused,
            new AuditDetails { { "nonce", "AAAAAAAAAAAAAAAAAAAAAA" } }));
        Assert.True(AuditLine.TryParse(line.AsSpan(0, line.Length - 1), out AuditLine record));
        Assert.False(record.TryGetNonce(out _, out _));
    }

    [Fact]
    public void Whatever_a_text_holds_the_line_is_canonical_and_says_it() =>
        Prop.ForAll<string>(text =>
        {
            text ??= "";
            byte[] line = Write(Entry(text));
            Assert.True(AuditLine.TryParse(line.AsSpan(0, line.Length - 1), out AuditLine record));
            Assert.True(record.IsCanonical());
            string said = JsonDocument.Parse(line).RootElement.GetProperty("details").GetProperty("text").GetString()!;
            Assert.Equal(Cleaned(text), said);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(500));

    [Theory]
    [InlineData("\u0001\u001f\u007f\u2028\b\f\n\r\t\"\\")]
    [InlineData("\ud800 alone, \0 and \udc00\ud800")]
    [InlineData("Kasse 1 – Zürich \ud83d\udc4d")]
    public void Texts_that_need_care_are_canonical_and_say_what_they_said(string text)
    {
        byte[] line = Write(Entry(text));
        Assert.True(AuditLine.TryParse(line.AsSpan(0, line.Length - 1), out AuditLine record));
        Assert.True(record.IsCanonical());
        string said = JsonDocument.Parse(line).RootElement.GetProperty("details").GetProperty("text").GetString()!;
        Assert.Equal(Cleaned(text), said);
    }

    [Fact]
    public void The_longest_record_fits_a_line_and_its_texts_are_cut_visibly()
    {
        var details = new AuditDetails();
        for (int i = 0; i < AuditDetails.MaxMembers; i++)
            details.Add(new string('m', 62) + i.ToString("00", null), new string('\u0001', 5_000));
        var entry = new AuditEntry(
            new string('e', 64), new string('"', 500),
            AuditActor.Operator(uint.MaxValue, uint.MaxValue, int.MaxValue, "admin"), AuditOutcome.Failed, details);
        byte[] line = Write(entry);
        Assert.True(AuditLine.TryParse(line.AsSpan(0, line.Length - 1), out AuditLine record));
        Assert.True(record.IsCanonical());
        Assert.EndsWith("…", System.Text.Encoding.UTF8.GetString(record.Op), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("Secret")]
    [InlineData("a-b")]
    [InlineData("a\"b")]
    public void A_name_that_would_need_escapes_is_refused(string name)
    {
        Assert.Throws<ArgumentException>(() => new AuditEntry(name, null, AuditActor.Agent, AuditOutcome.Ok, []));
        Assert.Throws<ArgumentException>(() => new AuditDetails { { name, 1 } });
    }

    [Theory]
    [InlineData("\"seq\":1", "\"seq\":01")]
    [InlineData("\"seq\":1", "\"seq\":0")]
    [InlineData("\"seq\":1", "\"seq\":9007199254740992")]
    [InlineData("\"seq\":1", "\"seq\": 1")]
    [InlineData("\"up\":77", "\"up\":-77")]
    [InlineData("\"up\":77", "\"up\":7e1")]
    [InlineData(".123Z", "Z")]
    [InlineData("\"outcome\":\"ok\"", "\"outcome\":\"maybe\"")]
    [InlineData("\"kind\":\"agent\"", "\"kind\":\"root\"")]
    [InlineData("\"kind\":\"agent\",\"uid\":null", "\"uid\":null,\"kind\":\"agent\"")]
    [InlineData("{\"text\":\"x\"}", "{\"text\":\"x\",\"text\":\"y\"}")]
    [InlineData("{\"text\":\"x\"}", "{\"text\": \"x\"}")]
    [InlineData("{\"text\":\"x\"}", "{\"text\":\"\\u0078\"}")]
    [InlineData("{\"text\":\"x\"}", "{\"text\":\"\\/\"}")]
    [InlineData("{\"text\":\"x\"}", "{\"text\":\"\\u000A\"}")]
    [InlineData("{\"text\":\"x\"}", "{\"text\":\"x\"},\"more\":{}")]
    [InlineData("{\"text\":\"x\"}", "[1]")]
    [InlineData("\"op\":null", "\"op\":nul")]
    public void Another_way_to_write_a_record_is_no_record(string part, string other)
    {
        string text = System.Text.Encoding.UTF8.GetString(Write(Entry("x"))).TrimEnd('\n');
        Assert.Contains(part, text, StringComparison.Ordinal);
        byte[] changed = System.Text.Encoding.UTF8.GetBytes(text.Replace(part, other, StringComparison.Ordinal));
        Assert.False(AuditLine.TryParse(changed, out AuditLine record) && record.IsCanonical());
    }

    private static AuditEntry Entry(string text) => new(
        "tested", null, AuditActor.Agent, AuditOutcome.Ok, new AuditDetails { { "text", text } });

    private static byte[] Write(AuditEntry entry)
    {
        using var chain = new AuditChain(new AuditPoint(0, AuditFormat.Genesis("pos-001", "thumb")), "b");
        byte[] line = new byte[AuditFormat.MaxLineBytes];
        return line[..chain.Write(line, Time, 77, entry)];
    }

    // Halves of pairs and U+0000 become U+FFFD.
    private static string Cleaned(string text) =>
        string.Concat(text.EnumerateRunes().Select(r => r.Value == 0 ? "\ufffd" : r.ToString()));
}
