using System.Text.Json.Serialization;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Json;
using Xunit;

namespace LicenseAgent.UnitTests.Protocol.Json;

public sealed partial class StrictJsonTests
{
    [Theory]
    [InlineData("""{"name":"a","count":1,"note":null}""", null, null)]
    [InlineData("""{"note":"x","count":-5,"name":""}""", null, null)]
    [InlineData(""" { "name" : "a" , "count" : 9007199254740991 , "note" : null } """, null, null)]
    [InlineData("""{"name":"\ud83d\ude00","count":0,"note":null}""", null, null)]
    [InlineData("""{"name":"a","count":1,"note":null,"more":{"x":[1]}}""", null, null)]
    [InlineData("""{"name":"a","count":1,"note":null,"x":1}""", "json_unknown", "/x")]
    [InlineData("""{"name":"a","count":1}""", "json_missing", "/note")]
    [InlineData("""{"count":1,"note":null}""", "json_missing", "/name")]
    [InlineData("""{"name":null,"count":1,"note":null}""", "json_value", "/name")]
    [InlineData("""{"name":"a","name":"a","count":1,"note":null}""", "json_duplicate", "/name")]
    [InlineData("""{"name":"a","n\u0061me":"a","count":1,"note":null}""", "json_duplicate", "/name")]
    [InlineData("""{"name":"a","count":1,"note":null,"more":{"x":{"y":1,"y":1}}}""", "json_duplicate", "/y")]
    [InlineData("""{"Name":"a","count":1,"note":null}""", "json_missing", "/name")]
    [InlineData("""{"name":"a","count":"1","note":null}""", "json_value", "/count")]
    [InlineData("""{"name":"a","count":1.0,"note":null}""", "json_number", null)]
    [InlineData("""{"name":"a","count":1e2,"note":null}""", "json_number", null)]
    [InlineData("""{"name":"a","count":-0,"note":null}""", "json_number", null)]
    [InlineData("""{"name":"a","count":9007199254740992,"note":null}""", "json_number", null)]
    [InlineData("""{"name":"a","count":-9007199254740992,"note":null}""", "json_number", null)]
    [InlineData("""{"name":"a","count":01,"note":null}""", "json_syntax", null)]
    [InlineData("""{"name":"a","count":+1,"note":null}""", "json_syntax", null)]
    [InlineData("""{"name":"\u0000","count":1,"note":null}""", "json_string", null)]
    [InlineData("""{"name":"\ud83d","count":1,"note":null}""", "json_string", null)]
    [InlineData("""{"name":"\ud83d\n","count":1,"note":null}""", "json_string", null)]
    [InlineData("""{"name":"\ude00\ud83d","count":1,"note":null}""", "json_string", null)]
    [InlineData("""{"name":"a","count":1,"note":null,"more":{"\udead":1}}""", "json_string", null)]
    [InlineData("""{"name":"a","count":1,"note":null,}""", "json_syntax", null)]
    [InlineData("""{"name":"a","count":1,"note":null}{}""", "json_syntax", null)]
    [InlineData("""{"name":"a","count":1,"note":null} //""", "json_syntax", null)]
    [InlineData("""{'name':"a","count":1,"note":null}""", "json_syntax", null)]
    [InlineData("", "json_syntax", null)]
    [InlineData("null", "json_null", "")]
    [InlineData("[]", "json_value", "")]
    public void A_text_is_read_only_if_it_can_be_read_in_one_way(string json, string? code, string? member)
    {
        byte[] utf8 = System.Text.Encoding.UTF8.GetBytes(json);
        Sample? Read() => StrictJson.Read(utf8, (json.Contains("more", StringComparison.Ordinal)
            ? SampleJson.Lenient : SampleJson.Strict).Sample);
        if (code is null)
        {
            Assert.NotNull(Read());
            return;
        }
        ProtocolException refusal = Assert.Throws<ProtocolException>(() => Read());
        Assert.Equal((code, member), (refusal.Code, refusal.Member));
    }

    [Theory]
    [InlineData(8, true)]
    [InlineData(9, false)]
    public void Nesting_ends_at_eight_levels(int depth, bool accepted)
    {
        string json = """{"name":"a","count":1,"note":null,"more":"""
            + new string('[', depth - 1) + new string(']', depth - 1) + "}";
        Exception? refusal = Record.Exception(() =>
            StrictJson.Read(System.Text.Encoding.UTF8.GetBytes(json), SampleJson.Lenient.Sample));
        Assert.Equal(accepted ? null : "json_depth", (refusal as ProtocolException)?.Code);
        Assert.Equal(accepted, refusal is null);
    }

    [Theory]
    [InlineData("json_bom", new byte[] { 0xEF, 0xBB, 0xBF, (byte)'{', (byte)'}' })]
    [InlineData("json_utf8", new byte[] { (byte)'"', 0xC0, 0x80, (byte)'"' })]
    [InlineData("json_utf8", new byte[] { (byte)'"', 0xED, 0xA0, 0x80, (byte)'"' })]
    [InlineData("json_syntax", new byte[] { (byte)'"', 0, (byte)'"' })]
    public void Bytes_that_are_no_plain_utf8_text_are_refused(string code, byte[] utf8) =>
        Assert.Equal(
            code, Assert.Throws<ProtocolException>(() => StrictJson.Read(utf8, SampleJson.Strict.Sample)).Code);

    [Fact]
    public void A_duplicate_is_found_in_an_object_of_any_size()
    {
        string members = string.Join(",", Enumerable.Range(0, 5000).Select(i => $"\"m{i}\":{i}"));
        string json = "{\"name\":\"a\",\"count\":1,\"note\":null,\"more\":{" + members + ",\"m4711\":0}}";
        ProtocolException refusal = Assert.Throws<ProtocolException>(() =>
            StrictJson.Read(System.Text.Encoding.UTF8.GetBytes(json), SampleJson.Lenient.Sample));
        Assert.Equal(("json_duplicate", "/m4711"), (refusal.Code, refusal.Member));
    }

    [Fact]
    public void Sibling_objects_may_share_names()
    {
        const string Json = """{"name":"a","count":1,"note":null,"more":[{"\u0061":1},{"a":1},{"a":{"a":{"a":1}}}]}""";
        Assert.Equal("a", StrictJson.Read(System.Text.Encoding.UTF8.GetBytes(Json), SampleJson.Lenient.Sample).Name);
    }

    [Fact]
    public void What_would_not_be_read_is_not_written()
    {
        Assert.Equal("json_number", Refusal(new Sample("a", 1L << 53, null)));
        Assert.Equal("json_string", Refusal(new Sample("\0", 1, null)));

        static string Refusal(Sample sample) =>
            Assert.Throws<ProtocolException>(() => StrictJson.Write(sample, SampleJson.Strict.Sample)).Code;
    }

    [Fact]
    public void Text_is_written_without_needless_escapes_and_null_stays_visible() =>
        Assert.Equal(
            """{"name":"Käse & <Brot>+","count":1,"note":null}""",
            System.Text.Encoding.UTF8.GetString(
                StrictJson.Write(new Sample("Käse & <Brot>+", 1, null), SampleJson.Strict.Sample)));

    [Fact]
    public void Value_types_have_exactly_their_text_in_json()
    {
        var values = new Values(
            new UtcTime(0), Nonce16.From(new byte[16]), Digest32.From(new byte[32]), Kcv.From(new byte[8]),
            Shade.DarkBlue);
        Assert.Equal(
            ValuesText, System.Text.Encoding.UTF8.GetString(StrictJson.Write(values, SampleJson.Strict.Values)));
        Assert.Equal(values, Read(ValuesText));
        Assert.Equal(values, Read(ValuesText.Replace("1970", "\\u00319\\u00370", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("/time", "00.000Z", "00Z")]
    [InlineData("/time", "\"1970-01-01T00:00:00.000Z\"", "0")]
    [InlineData("/nonce", "\"AAAAAAAAAAAAAAAAAAAAAA\"", "\"AAAAAAAAAAAAAAAAAAAAAB\"")]
    [InlineData("/nonce", "\"AAAAAAAAAAAAAAAAAAAAAA\"", "null")]
    [InlineData("/digest", "A\",\"kcv", "A=\",\"kcv")]
    [InlineData("/kcv", "\"0000000000000000\"", "\"000000000000000A\"")]
    [InlineData("/shade", "dark_blue", "Dark_Blue")]
    [InlineData("/shade", "\"dark_blue\"", "0")]
    public void Value_types_refuse_any_other_text(string member, string text, string other)
    {
        ProtocolException refusal = Assert.Throws<ProtocolException>(
            () => Read(ValuesText.Replace(text, other, StringComparison.Ordinal)));
        Assert.Equal(("json_value", member), (refusal.Code, refusal.Member));
    }

    private const string ValuesText =
        """{"time":"1970-01-01T00:00:00.000Z","nonce":"AAAAAAAAAAAAAAAAAAAAAA","""
        + "\"digest\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
        + "\"kcv\":\"0000000000000000\",\"shade\":\"dark_blue\"}";

    private static Values Read(string json) =>
        StrictJson.Read(System.Text.Encoding.UTF8.GetBytes(json), SampleJson.Strict.Values);

    internal sealed record Sample(string Name, long Count, string? Note);

    internal sealed record Values(
        UtcTime Time, Nonce16 Nonce, Digest32 Digest, Kcv Kcv,
        [property: JsonConverter(typeof(SnakeCaseNames<Shade>))] Shade Shade);

    internal enum Shade
    {
        DarkBlue,
        Red,
    }

    [JsonSerializable(typeof(Sample))]
    [JsonSerializable(typeof(Values))]
    internal sealed partial class SampleJson : JsonSerializerContext
    {
        public static SampleJson Strict { get; } = new(StrictJson.RefuseUnknown());

        public static SampleJson Lenient { get; } = new(StrictJson.IgnoreUnknown());
    }
}
