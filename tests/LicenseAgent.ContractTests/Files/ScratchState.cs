using LicenseAgent.Daemon.Adapters;
using LicenseAgent.Daemon.Adapters.Files;

namespace LicenseAgent.ContractTests.Files;

/// <summary>A state directory of one test's own, on the real file system.</summary>
internal sealed class ScratchState : IDisposable
{
    public const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    public string Path { get; } = Directory.CreateTempSubdirectory("lsa-files-").FullName + "/state";

    public string this[string name] => $"{Path}/{name}";

    public StateFiles Open() => new(Path);

    /// <summary>One call on it, of those that <see cref="InjectionTarget"/> knows, under strace.</summary>
    public TracedCall Traced(string call) => new(
        Path, ["state.json", "state.json.tmp", "state.json.new"],
        (InjectionTarget.CallVariable, call), (InjectionTarget.DirectoryVariable, Path));

    /// <summary>Everything in it, relative, sorted.</summary>
    public string[] Names() =>
    [
        .. Directory.EnumerateFileSystemEntries(Path, "*", SearchOption.AllDirectories)
            .Select(entry => entry[(Path.Length + 1)..]).Order(StringComparer.Ordinal),
    ];

    public void Dispose() => Directory.Delete(System.IO.Path.GetDirectoryName(Path)!, recursive: true);
}
