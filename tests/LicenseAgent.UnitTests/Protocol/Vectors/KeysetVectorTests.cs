using System.Text.Json.Nodes;
using LicenseAgent.Protocol;
using LicenseAgent.Protocol.Encoding;
using LicenseAgent.Protocol.Jose;
using LicenseAgent.Protocol.Keysets;
using Xunit;

namespace LicenseAgent.UnitTests.Protocol.Vectors;

public sealed class KeysetVectorTests
{
    private static readonly JsonObject File = VectorFile.Read(KeysetVectors.FileName);

    public static TheoryData<string> Names() => [.. Rows().Select(row => row["name"].String())];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_chain_has_the_outcome_that_its_vector_says(string name)
    {
        JsonNode row = Rows().Single(r => r["name"].String() == name);
        byte[] chain = System.Text.Encoding.UTF8.GetBytes(row["chain"]!.ToJsonString());
        Assert.True(Digest32.TryParse(File["pin"]!["sha256"].String(), out Digest32 sha256));
        Exception? refusal = Record.Exception(() =>
            KeysetChain.VerifyFromPin(KeysetChain.Read(chain), new KeysetPin(1, sha256), Es256.Verify));
        Assert.Equal(row["outcome"].String(), refusal is null ? "accepted" : ((ProtocolException)refusal).Code);
    }

    [Fact]
    public void The_file_is_what_the_generator_makes() =>
        Assert.Equal(VectorFile.Text(KeysetVectors.File()), VectorFile.ReadText(KeysetVectors.FileName));

    /// <summary>Run with <c>-explicit only</c> after a change of the generator, and read the difference.</summary>
    [Fact(Explicit = true)]
    public void Write_the_file_anew() => VectorFile.Write(KeysetVectors.FileName, KeysetVectors.File());

    private static IEnumerable<JsonNode> Rows() => File["chains"]!.AsArray().Select(row => row!);
}
