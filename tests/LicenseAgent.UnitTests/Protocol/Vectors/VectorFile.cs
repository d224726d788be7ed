using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LicenseAgent.UnitTests.Protocol.Vectors;

/// <summary>The files of <c>tests/vectors</c>: data that programs in any language can be held to.</summary>
internal static class VectorFile
{
    private static readonly JsonSerializerOptions Layout = new()
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        NewLine = "\n",
    };

    public static JsonObject Read(string name) => JsonNode.Parse(File.ReadAllText(PathOf(name)))!.AsObject();

    public static string ReadText(string name) => File.ReadAllText(PathOf(name));

    public static void Write(string name, JsonObject content) => File.WriteAllText(PathOf(name), Text(content));

    public static string Text(JsonObject content) => content.ToJsonString(Layout) + "\n";

    public static byte[] Bytes(this JsonNode? node)
    {
        if (!LicenseAgent.Protocol.Encoding.Base64UrlText.TryDecode(node?.GetValue<string>(), out byte[] bytes))
            throw new InvalidDataException("A vector holds no base64url where it should.");
        return bytes;
    }

    public static string String(this JsonNode? node) => node!.GetValue<string>();

    private static string PathOf(string name)
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (File.Exists(Path.Combine(at.FullName, "LicenseAgent.sln")))
                return Path.Combine(at.FullName, "tests", "vectors", name);
        }
        throw new DirectoryNotFoundException($"No LicenseAgent.sln above {AppContext.BaseDirectory}.");
    }
}
