using LicensePki;

namespace LicenseAgent.Testbed.Processes;

/// <summary>A temporary directory with a PKI in it: where one license server and its tills live. Gone on dispose.</summary>
public sealed class Workplace : IDisposable
{
    private const UnixFileMode Traversable =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
        | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    public Workplace()
    {
        Root = Directory.CreateTempSubdirectory("lsa-").FullName;

        // Applications under other UIDs connect to sockets below it.
        File.SetUnixFileMode(Root, Traversable);
        Pki = DevTree.Create(Path.Combine(Root, "pki"), new DevTreeOptions(), TimeProvider.System);
        ServerData = Path.Combine(Root, "server");
    }

    private Workplace(string root) =>
        (Root, Pki, ServerData) = (root, new DevTree(Path.Combine(root, "pki")), Path.Combine(root, "server"));

    public string Root { get; }

    public DevTree Pki { get; }

    public string ServerData { get; }

    public TillFolder AddTill(string name) => new(Path.Combine(Root, name));

    /// <summary>A copy of it as it lies on disk, with a life of its own. Nothing may be running on it meanwhile.</summary>
    public Workplace Copy()
    {
        string root = Directory.CreateTempSubdirectory("lsa-").FullName;
        CopyTree(Root, root);
        return new Workplace(root);
    }

    /// <summary>Copies a directory with all below it, modes included; sockets and locks are not copied.</summary>
    public static void CopyTree(string from, string to)
    {
        Directory.CreateDirectory(to);
        File.SetUnixFileMode(to, File.GetUnixFileMode(from));
        foreach (string directory in Directory.GetDirectories(from))
            CopyTree(directory, Path.Combine(to, Path.GetFileName(directory)));
        foreach (string file in Directory.GetFiles(from).Where(f =>
            !f.EndsWith(".sock", StringComparison.Ordinal) && Path.GetFileName(f) != "lock"))
        {
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)), overwrite: true);
        }
    }

    public void Dispose() => Directory.Delete(Root, recursive: true);
}
