namespace LicenseAgent.Cli;

/// <summary>A file that was named on the command line.</summary>
internal static class InputFile
{
    private const UnixFileMode OthersMask =
        UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute
        | UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    public static byte[] Read(string path, int bytesMax)
    {
        using FileStream file = Open(path);
        return Read(file, path, bytesMax);
    }

    /// <summary>Reads to the end.</summary>
    public static byte[] Read(Stream stream, string name, int bytesMax)
    {
        byte[] bytes = new byte[bytesMax + 1];
        int length = stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        return length <= bytesMax
            ? bytes[..length]
            : throw new UsageException($"{name} is larger than {bytesMax} bytes; it cannot be what is wanted here.");
    }

    public static FileStream Open(string path)
    {
        try
        {
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new UsageException($"There is no file {path}.");
        }
        catch (UnauthorizedAccessException) when (Directory.Exists(path))
        {
            throw new UsageException($"{path} is a directory.");
        }
    }

    /// <summary>Whether anybody but its owner may read or write it.</summary>
    public static bool IsOpenToOthers(string path) => (File.GetUnixFileMode(path) & OthersMask) != 0;
}
