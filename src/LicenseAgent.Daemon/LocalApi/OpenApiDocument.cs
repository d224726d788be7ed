using System.Buffers;

namespace LicenseAgent.Daemon.LocalApi;

/// <summary>The description of both sockets, written by hand and held to the records by a test.</summary>
internal static class OpenApiDocument
{
    private static readonly byte[] Json = Load();

    public static LocalAnswer Write(IBufferWriter<byte> body)
    {
        body.Write(Json);
        return LocalAnswer.Ok;
    }

    private static byte[] Load()
    {
        using Stream resource = typeof(OpenApiDocument).Assembly.GetManifestResourceStream("openapi.json")!;
        byte[] json = new byte[resource.Length];
        resource.ReadExactly(json);
        return json;
    }
}
