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

    public string Root { get; }

    public DevTree Pki { get; }

    public string ServerData { get; }

    public TillFolder AddTill(string name) => new(Path.Combine(Root, name));

    public void Dispose() => Directory.Delete(Root, recursive: true);
}
